"""The feature extractors by name, for what reads no weights: `--help` and the table of metrics do without torch."""

INCEPTION = "inception-v3-compat"
VGG16 = "vgg16"
DINOV2 = "dinov2-vitl14"
DINOV2_SMALL = "dinov2-vits14"
FALLBACK = "efficientnet-lite0"
IDENTITY = "identity"
EXTRACTORS = (INCEPTION, VGG16, DINOV2, DINOV2_SMALL, FALLBACK, IDENTITY)
