using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace NablaGen.Tests.Build;

/// <summary>Which libtorch a build brings along, read off the evaluated project; the CUDA packages cannot be restored everywhere.</summary>
public class PackageReferenceTests
{
    [Theory]
    [InlineData("libtorch-cpu-linux-x64", "-p:OS=Unix")]
    [InlineData("TorchSharp-cuda-linux", "-p:OS=Unix", "-p:Torch=cuda")]
    [InlineData(null, "-p:OS=Unix", "-p:Torch=none")]
    [InlineData("TorchSharp-cuda-windows", "-p:OS=Windows_NT")]
    [InlineData("libtorch-cpu-win-x64", "-p:OS=Windows_NT", "-p:Torch=cpu")]
    public void One_libtorch_comes_along(string? expected, params string[] properties)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the cases are a Linux machine's");
        var project = Path.GetFullPath(Path.Combine(Folder(), "../../../src/NablaGen.Cli/NablaGen.Cli.csproj"));
        Assert.SkipUnless(File.Exists(project) && Sdks().Length > 0, "needs the sources and the .NET SDK");

        var items = JsonDocument.Parse(Run(["msbuild", project, "-getItem:PackageReference", .. properties])).RootElement.GetProperty("Items");
        var torch = items.GetProperty("PackageReference").EnumerateArray().Select(item => item.GetProperty("Identity").GetString())
            .Where(name => name!.StartsWith("libtorch-") || name.StartsWith("TorchSharp-"));
        Assert.Equal(expected is null ? [] : [expected], torch);
    }

    private static string Folder([CallerFilePath] string source = "") => Path.GetDirectoryName(source)!;

    private static string Sdks() => Run(["--list-sdks"]);

    private static string Run(string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return output;
    }
}
