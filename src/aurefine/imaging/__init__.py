"""Soft masks, background normalisation and noise spectra."""
