"""Files, settings, devices and code digests. Every other package uses them; they use no other package."""
