"""Decode videos and compute optical flow."""
