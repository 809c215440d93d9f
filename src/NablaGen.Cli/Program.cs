using NablaGen.Native;
using TorchSharp;

TorchRuntime.Load();
Console.WriteLine(torch.randn(3).ToString(TensorStringStyle.Numpy));
Console.WriteLine(TorchRuntime.Folder + " " + TorchRuntime.HasCuda);
