"""EMQX 5.8, the last line of it that clusters without a licence: three nodes behind HAProxy."""
