"""TV-L1 optical flow, one module for each implementation."""
