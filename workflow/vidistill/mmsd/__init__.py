"""MMSD: weakly supervised temporal action localization by streams that teach each other (Huang et al., TIP 2022)."""
