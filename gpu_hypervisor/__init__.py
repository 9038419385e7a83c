"""Several tenants share one device: what they submit is checked, scheduled by weight and deadline, and measured."""
