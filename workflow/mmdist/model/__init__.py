"""The networks: attention, proposals, the baseline and student, the teacher."""
