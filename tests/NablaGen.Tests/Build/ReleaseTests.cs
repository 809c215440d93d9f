using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace NablaGen.Tests.Build;

/// <summary>
/// What scripts/release says and how it packs, with small files in place of the program: what it makes is installed by <c>scripts/release --check</c>, which takes minutes.
/// </summary>
[Trait(Lane.Name, Lane.Commands)]
public partial class ReleaseTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public ReleaseTests() => Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists(Repository("scripts/release")), "needs bash and the sources");

    [Fact]
    public void The_files_have_the_programs_version()
    {
        var version = NablaGenVersion.Text;
        var list = Bash(0, $"'{Repository("scripts/release")}' --list").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            [
                $"nablagen-{version}-linux-x64.tar.gz", $"nablagen-{version}-linux-x64-slim.tar.gz", $"nablagen-{version}-win-x64.zip", $"nablagen-{version}-win-x64-slim.zip",
                $"NablaGen.Cli.{version}.nupkg", $"NablaGen.Cli.linux-x64.{version}.nupkg", $"NablaGen.Cli.win-x64.{version}.nupkg",
                $"NablaGen.{version}.nupkg", $"NablaGen.{version}.snupkg", $"NablaGen.Cuda.{version}.nupkg", $"NablaGen.Cuda.{version}.snupkg",
                "Dockerfile", "SHA256SUMS",
            ],
            list);
        Assert.Equal($"nablagen-{version}-win-x64-slim.zip\nSHA256SUMS\n", Bash(0, $"'{Repository("scripts/release")}' --list win-x64-slim"));
    }

    [Theory]
    [InlineData("--fast", "there is no option --fast")]
    [InlineData("macos", "there is no part macos: expected linux-x64 linux-x64-slim win-x64")]
    [InlineData("--output", "--output needs a folder")]
    public void A_wrong_option_ends_with_2(string option, string message) =>
        Assert.Contains(message, Bash(2, $"'{Repository("scripts/release")}' {option} 2>&1"));

    [Fact]
    public void Help_names_every_part()
    {
        var help = Bash(0, $"'{Repository("scripts/release")}' --help");
        Assert.All(["linux-x64", "win-x64-slim", "tool", "packages", "docker", "--output", "--list", "--check"], word => Assert.Contains(word, help));
        Assert.DoesNotContain("set -e", help);
    }

    [Fact]
    public void The_newest_version_in_the_changelog_is_this_one()
    {
        var newest = File.ReadLines(Repository("CHANGELOG.md")).Select(line => ChangelogVersion().Match(line)).First(match => match.Success);
        Assert.Equal(NablaGenVersion.Text, newest.Groups[1].Value);
    }

    [Fact]
    public void The_same_files_make_the_same_archive()
    {
        WriteProgram();
        var pack = $"write_whole '{_folder["a.tar.gz"]}' pack_tar '{_folder.Path}' nablagen-1 1700000000";
        Packing(0, pack);
        var first = File.ReadAllBytes(_folder["a.tar.gz"]);
        File.SetLastWriteTimeUtc(_folder["nablagen-1/program/nablagen.dll"], DateTime.UnixEpoch);
        Packing(0, pack);
        Assert.Equal(first, File.ReadAllBytes(_folder["a.tar.gz"]));

        using var reader = new TarReader(new GZipStream(new MemoryStream(first), CompressionMode.Decompress));
        var modes = new Dictionary<string, UnixFileMode>();
        while (reader.GetNextEntry() is { } entry)
        {
            modes.Add(entry.Name.TrimEnd('/'), entry.Mode);
            Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1700000000), entry.ModificationTime);
            Assert.Equal((0, 0), (entry.Uid, entry.Gid));
        }

        const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        const UnixFileMode Startable = Readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        Assert.Equal(["nablagen-1", "nablagen-1/nablagen", "nablagen-1/program", "nablagen-1/program/nablagen.dll"], modes.Keys);
        Assert.Equal(Startable, modes["nablagen-1/nablagen"]);
        Assert.Equal(Readable, modes["nablagen-1/program/nablagen.dll"]);
    }

    [Fact]
    public void What_fails_leaves_the_old_file_and_nothing_half_written()
    {
        File.WriteAllText(_folder["a.tar.gz"], "old");
        Packing(1, $"write_whole '{_folder["a.tar.gz"]}' pack_tar '{_folder.Path}' missing 1700000000 2>/dev/null");
        Packing(1, $"write_whole '{_folder["a.tar.gz"]}' true");
        Assert.Equal("old", File.ReadAllText(_folder["a.tar.gz"]));
        Assert.Equal(["a.tar.gz"], _folder.Files.Select(Path.GetFileName));
    }

    [Fact]
    public void Sums_are_those_of_the_files_that_are_there()
    {
        File.WriteAllText(_folder["b c.zip"], "bytes");
        File.WriteAllText(_folder["a.tar.gz"], "");
        Packing(0, $"write_sums '{_folder.Path}' 'b c.zip' a.tar.gz missing.nupkg");
        Assert.Equal(
            $"{Convert.ToHexStringLower(SHA256.HashData("bytes"u8))}  b c.zip\n{Convert.ToHexStringLower(SHA256.HashData([]))}  a.tar.gz\n",
            File.ReadAllText(_folder["SHA256SUMS"]));
    }

    [Fact]
    public void The_launcher_starts_the_program_beside_it_through_links_and_asks_for_huge_pages()
    {
        Directory.CreateDirectory(_folder["place with spaces/program"]);
        File.Copy(Repository("build/nablagen.sh"), _folder["place with spaces/nablagen"]);
        File.WriteAllText(_folder["place with spaces/program/nablagen"], "#!/bin/sh\necho \"$GLIBC_TUNABLES|$#|$1|$2\"\nexit 7\n");
        Bash(0, $"chmod +x '{_folder["place with spaces/nablagen"]}' '{_folder["place with spaces/program/nablagen"]}' && ln -s 'place with spaces/nablagen' '{_folder["link"]}'");
        Assert.Equal("glibc.malloc.hugetlb=1|2|a b|$c\n", Bash(7, $"unset GLIBC_TUNABLES; '{_folder["link"]}' 'a b' '$c'"));
        Assert.Equal("own|0||\n", Bash(7, $"GLIBC_TUNABLES=own '{_folder["link"]}'"));
    }

    public void Dispose() => _folder.Dispose();

    private void WriteProgram()
    {
        Directory.CreateDirectory(_folder["nablagen-1/program"]);
        File.WriteAllText(_folder["nablagen-1/nablagen"], "start");
        File.WriteAllText(_folder["nablagen-1/program/nablagen.dll"], "program");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_folder["nablagen-1/nablagen"], UnixFileMode.UserRead | UnixFileMode.UserExecute);
            File.SetUnixFileMode(_folder["nablagen-1/program/nablagen.dll"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupWrite);
        }
    }

    private static void Packing(int code, string command) =>
        Bash(code, $"set -euo pipefail; source '{Repository("scripts/packing.sh")}'; status=0; {command} || status=$?; exit $status");

    private static string Bash(int code, string command)
    {
        using var process = Process.Start(new ProcessStartInfo("bash", ["-c", command]) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == code, $"{command}: exit code {process.ExitCode}\n{output}");
        return output;
    }

    private static string Repository(string path, [CallerFilePath] string source = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "../../..", path));

    [GeneratedRegex(@"^## \[(\d+\.\d+\.\d+)\]")]
    private static partial Regex ChangelogVersion();
}
