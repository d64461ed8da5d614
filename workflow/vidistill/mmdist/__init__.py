"""MMDist: weakly supervised grounding by distilling a multi-modal teacher (Bao et al., AAAI 2024)."""
