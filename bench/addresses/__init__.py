"""Models by address: `timm:resnet18.a1_in1k`, `onnx:model.onnx?data=cifar10`; one file a scheme."""
