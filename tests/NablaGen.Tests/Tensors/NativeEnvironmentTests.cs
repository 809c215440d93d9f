using System.Runtime.InteropServices;

namespace NablaGen.Tests.Tensors;

public partial class NativeEnvironmentTests
{
    [Fact]
    public void Native_code_sees_that_threads_are_to_sleep_unless_the_user_says_otherwise()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libgomp is Linux's");
        Assert.SkipWhen(Environment.GetEnvironmentVariable("GOMP_SPINCOUNT") is { Length: > 0 }, "GOMP_SPINCOUNT is set");
        Assert.Equal(Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") ?? "passive", Marshal.PtrToStringUTF8(getenv("OMP_WAIT_POLICY")));
    }

    [Fact]
    public void Native_code_sees_that_segments_are_to_grow_unless_the_user_says_otherwise()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "elsewhere libtorch's allocator is as it is");
        Assert.SkipWhen(Environment.GetEnvironmentVariable("PYTORCH_ALLOC_CONF") is { Length: > 0 }, "PYTORCH_ALLOC_CONF is set");
        Assert.StartsWith(
            Environment.GetEnvironmentVariable("PYTORCH_CUDA_ALLOC_CONF") ?? "expandable_segments:True", Marshal.PtrToStringUTF8(getenv("PYTORCH_CUDA_ALLOC_CONF")), StringComparison.Ordinal);
    }

    [Fact]
    public void OneDnn_remembers_the_last_sizes_only_unless_the_user_says_otherwise()
    {
        // Of each size that it has met it would keep 3 MiB: a long batch of many sizes grew by hundreds.
        const string Name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY";
        Assert.SkipUnless(OperatingSystem.IsLinux(), "set by glibc's setenv");
        Assert.Equal(Environment.GetEnvironmentVariable(Name) ?? "128", Marshal.PtrToStringUTF8(getenv(Name)));
    }

    [LibraryImport("libc.so.6", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint getenv(string name);
}
