"""Films whose motion is known, and how far flow is from it or from other flow."""

import cv2
import numpy as np


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth noise of several scales (H, W) float, 0 to 255."""
    rng = np.random.default_rng(seed)
    image = sum(cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), s) * s for s in (1.5, 3, 8))
    image -= image.min()
    return image * (255 / image.max())


def moving(count: int, u: float, v: float, height: int = 64, width: int = 80) -> np.ndarray:
    """(count, H, W) uint8: a texture that moves by u pixels to the right and v down, a frame."""
    margin = int(max(abs(u), abs(v)) * count) + 8
    large = texture(height + 2 * margin, width + 2 * margin)
    shifted = [
        cv2.warpAffine(large, np.float64([[1, 0, u * t], [0, 1, v * t]]), large.shape[::-1]) for t in range(count)
    ]
    return np.stack(shifted)[:, margin:-margin, margin:-margin].round().astype(np.uint8)


def error(flow: np.ndarray, u: float, v: float, border: int = 8) -> float:
    """Mean end-point error in pixels, without the border, over which the picture leaves."""
    return float(np.hypot(flow[..., 0] - u, flow[..., 1] - v)[:, border:-border, border:-border].mean())


def differences(flow: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """End-point error between two flows (n, H, W, 2) in pixels: mean, 95th and 99th percentile."""
    distances = np.linalg.norm(flow - other, axis=-1)
    return float(distances.mean()), *(float(np.percentile(distances, q)) for q in (95, 99))
