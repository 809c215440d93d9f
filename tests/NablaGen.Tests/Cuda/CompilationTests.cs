using NablaGen.Cuda;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Tests.Cuda;

public class CompilationTests
{
    [Theory, Trait("gpu", "true")]
    [InlineData("sm_80")]
    [InlineData("sm_89")]
    [InlineData("sm_90a")]
    [InlineData("sm_120")]
    public void Every_kernel_compiles_for_every_target(string target)
    {
        Gpu.Require();
        var nvrtc = Nvrtc.Load();
        foreach (var source in KernelSource.Names.Where(name => target == "sm_90a" || !name.EndsWith("_sm90", StringComparison.Ordinal)).Select(KernelSource.Load))
        {
            if (target == "sm_80" && source.Text.Contains("eight_bits.cuh", StringComparison.Ordinal))
            {
                // fp8 came with 8.9.
                continue;
            }

            Assert.NotEmpty(nvrtc.Compile(source, [$"--gpu-architecture={target}", "--std=c++17"]));
        }
    }

    [Fact, Trait("gpu", "true")]
    public void A_compile_failure_shows_the_log()
    {
        Gpu.Require();
        var broken = new KernelSource("broken", "extern \"C\" __global__ void broken() { int x = undeclared; }", []);
        var error = Assert.Throws<CudaException>(() => Nvrtc.Load().Compile(broken, ["--gpu-architecture=sm_80"]));
        Assert.Contains("broken.cu", error.Message, StringComparison.Ordinal);
        Assert.Contains("undeclared", error.Message, StringComparison.Ordinal);
    }

    [Fact, Trait("gpu", "true")]
    public void Ptx_loads_where_machine_code_is_not_known()
    {
        var device = Gpu.Require();
        device.MakeCurrent();
        var ptx = Nvrtc.Load().Compile(KernelSource.Load("gelu_tanh"), ["--gpu-architecture=compute_80", "--std=c++17"]);
        Assert.NotNull(CudaKernel.Load(device, "gelu_tanh", ptx));
    }

    [Fact, Trait("gpu", "true")]
    public void A_failed_call_names_itself_and_the_error()
    {
        var device = Gpu.Require();
        device.MakeCurrent();
        var error = Assert.Throws<CudaException>(() => CudaKernel.Load(device, "nothing", [1, 2, 3]));
        Assert.Contains("cuModuleLoadData(nothing)", error.Message, StringComparison.Ordinal);
        Assert.Contains("CUDA_ERROR", error.Message, StringComparison.Ordinal);
    }

    [Fact, Trait("gpu", "true")]
    public void Asking_for_more_memory_than_there_is_says_so()
    {
        var device = Gpu.Require();
        var error = Assert.Throws<CudaException>(() => new CudaBuffer(device, 1L << 44));
        Assert.True(error.IsOutOfMemory);
        Assert.Contains("MiB free", error.Message, StringComparison.Ordinal);
        Assert.Throws<CudaException>(() => CudaDevice.Open(99));
    }
}
