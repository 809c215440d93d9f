using NablaGen.Cuda;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;
using NablaGen.Cuda.Native;

namespace NablaGen.Tests.Cuda;

public sealed class NativeSearchTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("nablagen-native-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void Folders_come_in_the_order_of_who_named_them()
    {
        var torch = Folder("site/torch/lib");
        var wheel = Folder("site/nvidia/cu13/lib");
        var program = Folder("app");
        var toolkit = Folder("cuda/lib64");
        var path = Folder("path");
        var pathVariable = OperatingSystem.IsWindows() ? "PATH" : "LD_LIBRARY_PATH";
        string? Environment(string name) => name switch
        {
            NativeSearch.LibTorchVariable => torch,
            "CUDA_PATH" => Path.Combine(_root, "cuda"),
            _ => name == pathVariable ? path + Path.PathSeparator + torch + Path.PathSeparator + Path.Combine(_root, "missing") : null,
        };
        var folders = NativeSearch.NvrtcFolders(Environment, program);
        Assert.Equal([torch, wheel, program, toolkit, path], folders.Take(5));
        Assert.Equal(folders.Count, folders.Distinct().Count());
        Assert.All(folders, folder => Assert.True(Directory.Exists(folder)));
    }

    [Fact]
    public void The_newest_library_comes_first_and_its_companions_not_at_all()
    {
        var folder = Folder("lib");
        string[] names = OperatingSystem.IsWindows()
            ? ["nvrtc64_112_0.dll", "nvrtc64_130_0.dll", "nvrtc64_130_0.alt.dll", "nvrtc-builtins64_130.dll"]
            : ["libnvrtc.so.11.2", "libnvrtc.so.13", "libnvrtc-5a3f.so.12", "libnvrtc.alt.so.13", "libnvrtc-builtins.so.13.0"];
        foreach (var name in names)
        {
            File.WriteAllText(Path.Combine(folder, name), "");
        }

        string[] expected = OperatingSystem.IsWindows()
            ? ["nvrtc64_130_0.dll", "nvrtc64_112_0.dll"]
            : ["libnvrtc.so.13", "libnvrtc-5a3f.so.12", "libnvrtc.so.11.2"];
        Assert.Equal(expected, NativeSearch.NvrtcFiles(folder).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData(9, 0, 13, "sm_90a")]
    [InlineData(8, 0, 13, "sm_80")]
    [InlineData(8, 9, 13, "sm_89")]
    [InlineData(12, 0, 13, "sm_120")]
    [InlineData(12, 1, 13, "compute_120")]
    [InlineData(9, 0, 11, "sm_90")]
    public void The_target_is_the_devices_own_or_the_newest_below(int major, int minor, int nvrtc, string target) =>
        Assert.Equal(target, Nvrtc.ChooseTarget(new ComputeCapability(major, minor), [75, 80, 86, 89, 90, 100, 120], nvrtc));

    [Theory]
    [InlineData("sm_89", 12, 4, true)]
    [InlineData("sm_89", 12, 3, false)]
    [InlineData("sm_86", 13, 0, false)]
    [InlineData("compute_86", 13, 0, false)]
    [InlineData("sm_90a", 12, 4, true)]
    [InlineData("compute_90", 12, 6, true)]
    [InlineData("sm_120", 13, 0, true)]
    [InlineData("sm_90", 11, 8, false)]
    public void Products_of_fp8_need_8_9_and_a_compiler_of_12_4(string target, int major, int minor, bool has) =>
        Assert.Equal(has, Nvrtc.HasFp8Products(target, major, minor));

    [Fact]
    public void Devices_before_Ampere_are_refused()
    {
        var error = Assert.Throws<CudaException>(() => Nvrtc.ChooseTarget(new ComputeCapability(7, 5), [75, 80], 13));
        Assert.Contains("8.0", error.Message);
    }

    [Fact]
    public void Without_a_device_the_reason_says_what_was_looked_for()
    {
        if (CudaDevice.IsAvailable(out var reason))
        {
            Assert.Empty(reason);
        }
        else
        {
            Assert.True(reason.Contains("looked for", StringComparison.Ordinal) || reason.Contains("no device", StringComparison.Ordinal)
                || reason.Contains("cuInit", StringComparison.Ordinal), reason);
            Assert.Throws<CudaException>(() => CudaDevice.Open());
        }
    }

    [Fact]
    public void Every_kernel_states_its_contract_and_needs_no_foreign_header()
    {
        Assert.NotEmpty(KernelSource.Names);
        Assert.All(KernelSource.Names, name =>
        {
            var source = KernelSource.Load(name);
            Assert.StartsWith("//", source.Text, StringComparison.Ordinal);
            Assert.Contains("Grid", source.Text, StringComparison.Ordinal);
            var headers = source.Headers.Select(header => header.Name).ToHashSet();
            Assert.All(
                source.Headers.Select(header => header.Text).Append(source.Text).SelectMany(text => text.Split('\n'))
                    .Where(line => line.StartsWith("#include", StringComparison.Ordinal)),
                line => Assert.Contains(line.Split('"')[1], headers));
        });
    }

    private string Folder(string name) => Directory.CreateDirectory(Path.Combine(_root, name)).FullName;
}
