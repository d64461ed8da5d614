"""From predictions and moments to numbers; reads no video and no model."""
