using System.Runtime.CompilerServices;
using NablaGen.Cuda;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Native;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Tensors;

public class KernelAddressTests
{
    private static readonly KernelAddress OnCpu = new(CPU);

    [Fact]
    public void A_tensor_that_fits_gives_its_address()
    {
        using var scope = NewDisposeScope();
        var x = zeros(2, 3, 8);
        Assert.Equal(TensorMemory.Address(x), OnCpu.Of(x, ScalarType.Float32, "x"));
        Assert.Equal(0, OnCpu.Of(null, ScalarType.Float32, "x"));
        // A modulation: one of six rows of each batch.
        var part = zeros(2, 6, 8).chunk(6, 1)[2];
        Assert.Equal(TensorMemory.Address(part), OnCpu.OfRows(part, ScalarType.Float32, 48, "gate"));
    }

    [Fact]
    public void Attention_reads_heads_of_any_strides()
    {
        using var scope = NewDisposeScope();
        var headsFirst = zeros(2, 3, 5, 64, dtype: ScalarType.BFloat16);
        var tokensFirst = zeros(2, 5, 3, 64, dtype: ScalarType.BFloat16).transpose(1, 2);
        foreach (var x in new[] { headsFirst, tokensFirst })
        {
            var view = CudaDevices.View(x, OnCpu);
            Assert.Equal((TensorMemory.Address(x), 2, 3, 5, 64), (view.Pointer, view.Batch, view.Heads, view.Tokens, view.HeadSize));
            Assert.Equal((x.stride(0), x.stride(1), x.stride(2)), (view.BatchStride, view.HeadStride, view.TokenStride));
        }

        Assert.Contains("gaps in its last axis", Assert.Throws<ArgumentException>(() => CudaDevices.View(zeros(2, 3, 64, 5, dtype: ScalarType.BFloat16).transpose(2, 3), OnCpu)).Message);
    }

    [Fact]
    public void What_a_kernel_would_misread_is_refused()
    {
        using var scope = NewDisposeScope();
        string Fault(Action use) => Assert.Throws<ArgumentException>(use).Message;
        Assert.Equal("gate: expected a tensor of Float32 on cpu, found BFloat16 on cpu, shape [2, 8], strides [8, 1]", Fault(() => OnCpu.Of(zeros(2, 8, dtype: ScalarType.BFloat16), ScalarType.Float32, "gate")));
        Assert.Contains("expected a tensor contiguous", Fault(() => OnCpu.Of(zeros(4, 8).t(), ScalarType.Float32, "x")));
        Assert.Contains("96 elements from one to the next", Fault(() => OnCpu.OfRows(zeros(2, 6, 8).chunk(6, 1)[2], ScalarType.Float32, 96, "gate")));
        Assert.Contains("on cuda:0, found Float32 on cpu", Fault(() => new KernelAddress(new Device(DeviceType.CUDA, 0)).Of(zeros(8), ScalarType.Float32, "x")));
        Assert.Contains("on cuda:0", Fault(() => CudaDevices.View(zeros(1, 2, 3, 64, dtype: ScalarType.BFloat16))));
    }

    [Fact]
    public void No_other_place_hands_out_addresses()
    {
        var root = Path.GetFullPath(Path.Combine(Folder(), "../../../src"));
        Assert.SkipUnless(Directory.Exists(root), "needs the sources");
        var others = Directory.EnumerateFiles(root, "*.cs", SearchOption.AllDirectories)
            .Where(file => !Path.GetDirectoryName(file)!.EndsWith(Path.Combine("NablaGen", "Tensors"), StringComparison.Ordinal)
                && File.ReadAllText(file).Contains("TensorMemory.Address(", StringComparison.Ordinal));
        Assert.Empty(others);
    }

    [Theory]
    [InlineData(1000, 64_000, 40, true)]
    [InlineData(65_535, 4_194_240, 40, true)]
    [InlineData(65_536, 4_194_304, 40, false)]
    [InlineData(65_535, 4_194_240, 1000, false)]
    public void What_the_kernels_cannot_count_is_one_line(int blocks, long tokens, long heads, bool fits)
    {
        var error = Record.Exception(() => CudaDevices.RequireCountable(blocks, tokens, heads));
        Assert.Equal(fits, error is null);
        Assert.True(fits || (error is NablaGenException && error.Message.Contains("use fewer --frames", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_compiler_and_the_age_of_a_gpu_are_checked_before_the_work()
    {
        Assert.Equal("nvrtc 13.0 (x), sm_90a", KernelSupport.Compiler("H200", new ComputeCapability(9, 0), () => "nvrtc 13.0 (x), sm_90a"));
        Assert.Equal(
            "Tesla T4 has compute capability 7.5; the kernels need 8.0 or newer (Ampere): use --device cpu",
            Assert.Throws<NablaGenException>(() => KernelSupport.Compiler("Tesla T4", new ComputeCapability(7, 5), () => "nvrtc")).Message);
        Assert.Equal(
            "H200: its kernels cannot be compiled: No NVRTC",
            Assert.Throws<NablaGenException>(() => KernelSupport.Compiler("H200", new ComputeCapability(9, 0), () => throw new CudaException("No NVRTC"))).Message);
    }

    [Theory]
    [InlineData("/usr/lib/libc.so.6|/opt/torch/lib/libcublasLt.so.12|/usr/lib/libcublas.so.13", "/opt/torch/lib/libcublasLt.so.12")]
    [InlineData("/opt/torch/lib/libcublasLt-a1b2.so.13", "/opt/torch/lib/libcublasLt-a1b2.so.13")]
    [InlineData("C:\\torch\\cublasLt64_13.dll", "C:\\torch\\cublasLt64_13.dll")]
    [InlineData("/usr/lib/libcublas.so.13", null)]
    public void The_cublaslt_that_is_loaded_is_the_one(string loaded, string? expected) => Assert.Equal(expected, NativeSearch.LoadedCublasLt(loaded.Split('|')));

    [Fact]
    public void A_plan_s_memory_is_counted()
    {
        // 1,050 blocks of a 14B model's longest video: 40 heads, 350 groups of three, an entry of four bytes a key block.
        Assert.Equal(4L * 40 * 350 * 1055 + 4, BlockAttention.PlanBytes(40, 1050));
    }

    private static string Folder([CallerFilePath] string source = "") => Path.GetDirectoryName(source)!;
}
