"""The same network trained on the same EuroSAT images by rsbench's engine and by what people use instead."""
