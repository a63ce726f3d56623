"""From the bytes of one image to pixels in the form of the experiment."""
