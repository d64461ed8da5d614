"""Files, settings, devices and code digests: used by every package above, uses none of them."""
