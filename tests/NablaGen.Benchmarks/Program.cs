using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using NablaGen.Benchmarks;
using NablaGen.Tensors;

// dotnet run -c Release --project tests/NablaGen.Benchmarks -- --filter '*'
// or, on a busy machine: -- pairs
TorchRuntime.Load();
if (args is ["pairs"])
{
    CpuPairs.Run();
    return;
}

// In this process: libtorch's folder comes with it, which a benchmark program built aside would not have.
var config = DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, config);
