using System.Runtime.InteropServices;
using NablaGen.Build;

namespace NablaGen.Tests.Build;

public class ElfWeakVersionTests
{
    private const string Needed = "GLIBCXX_3.4.32";

    [Fact]
    public void The_library_beside_the_program_is_patched_already()
    {
        var file = LibTorchSharp();
        var before = file.ToArray();
        Assert.Equal(0, ElfWeakVersion.Apply(file, Needed));
        Assert.Equal(before, file);
    }

    [Fact]
    public void One_flag_changes_and_only_once()
    {
        var patched = LibTorchSharp();
        var plain = patched.ToArray();
        var other = patched.ToArray();
        Assert.Equal(1, ElfWeakVersion.Apply(other, "GLIBCXX_3.4.30"));
        Assert.Single(Differences(patched, other));

        var flag = FlagOf(plain, Needed);
        plain[flag] = 0;
        var again = plain.ToArray();
        Assert.Equal(1, ElfWeakVersion.Apply(again, Needed));
        Assert.Equal(patched, again);
        Assert.Equal(0, ElfWeakVersion.Apply(again, Needed));
        Assert.Equal([flag], Differences(plain, again));
    }

    [Fact]
    public void A_version_that_is_not_needed_changes_nothing()
    {
        var file = LibTorchSharp();
        var before = file.ToArray();
        Assert.Equal(0, ElfWeakVersion.Apply(file, "GLIBCXX_9.9.99"));
        Assert.Equal(before, file);
    }

    [Fact]
    public void Any_other_file_is_left_alone()
    {
        foreach (var file in new[] { [], "MZ and so on"u8.ToArray(), new byte[200], Truncated() })
        {
            var before = file.ToArray();
            Assert.Equal(0, ElfWeakVersion.Apply(file, Needed));
            Assert.Equal(before, file);
        }
    }

    [Fact]
    public void A_copy_keeps_the_time_of_its_source()
    {
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            var source = Path.Combine(folder.FullName, "source.so");
            var target = Path.Combine(folder.FullName, "sub", "target.so");
            File.WriteAllBytes(source, LibTorchSharp());
            File.SetLastWriteTimeUtc(source, new DateTime(2024, 5, 6, 7, 8, 9, DateTimeKind.Utc));
            ElfWeakVersion.CopyPatched(source, target, "GLIBCXX_3.4.30");
            ElfWeakVersion.CopyPatched(source, target, "GLIBCXX_3.4.30");
            Assert.Equal(File.GetLastWriteTimeUtc(source), File.GetLastWriteTimeUtc(target));
            Assert.Single(Differences(File.ReadAllBytes(source), File.ReadAllBytes(target)));
            Assert.Single(Directory.GetFiles(Path.Combine(folder.FullName, "sub")));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static byte[] LibTorchSharp()
    {
        Assert.SkipUnless(RuntimeInformation.IsOSPlatform(OSPlatform.Linux), "ELF files are Linux's");
        return File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "libLibTorchSharp.so"));
    }

    private static byte[] Truncated() => LibTorchSharp()[..5000];

    // Where the flag of a version is: behind the version name's ELF hash (vna_hash, then vna_flags).
    private static int FlagOf(byte[] file, string version)
    {
        uint hash = 0;
        foreach (var c in version)
        {
            hash = (hash << 4) + c;
            var high = hash & 0xf0000000;
            hash = (hash ^ (high >> 24)) & ~high;
        }

        var places = Enumerable.Range(0, file.Length - 8).Where(i => BitConverter.ToUInt32(file, i) == hash).Select(i => i + 4).ToArray();
        return Assert.Single(places, place => file[place] == 2 && file[place + 1] == 0);
    }

    private static int[] Differences(byte[] a, byte[] b) => Enumerable.Range(0, a.Length).Where(i => a[i] != b[i]).ToArray();
}
