"""Stage 4: tables, figures and one HTML page for a run, or for several."""
