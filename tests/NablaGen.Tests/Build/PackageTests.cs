using System.Diagnostics;
using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;

namespace NablaGen.Tests.Build;

/// <summary>The packages as a stranger uses them: samples/FirstVideo, whose program is the README's lines, outside the repository.</summary>
[Trait(Lane.Name, Lane.Commands)]
public class PackageTests
{
    [Fact]
    public void A_fresh_project_makes_the_same_video_under_any_culture()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "cultures are chosen by Linux's variables");
        Assert.SkipUnless(File.Exists(Repository("NablaGen.sln")) && Dotnet(Path.GetTempPath(), [], "--list-sdks").Length > 0, "needs the sources and the .NET SDK");
        using var folder = new TempFolder();
        Dotnet(Repository(""), [], "pack", "NablaGen.sln", "--no-build", "-c", Configuration, "-o", folder["feed"], "-v", "quiet");
        CheckPackage(folder["feed"]);

        WriteProject(folder);
        // Links in place of 900 MB of copies, where the file system has them.
        Dotnet(folder["app"], [], "build", "-v", "quiet", "-o", folder["bin"], "-p:CreateHardLinksForCopyFilesToOutputDirectoryIfPossible=true");
        Assert.True(File.Exists(Path.Combine(folder["bin"], "libtorch", "libtorch_cpu.so")), "libtorch is in its own folder");
        Assert.Single(folder.Files, file => file.StartsWith(folder["bin"], StringComparison.Ordinal) && Path.GetFileName(file) == "libtorch_cpu.so");

        var expected = Run(folder, "C");
        Assert.Contains("half is 0.5", expected.Output);
        // Other digits' signs, and a comma with letters that change their case in their own way.
        foreach (var (culture, half) in new[] { ("ar_SA", "0٫5"), ("tr_TR", "0,5") })
        {
            var found = Run(folder, culture);
            // The program's own lines are in its user's culture; what the library writes is not.
            Assert.Contains($"half is {half}", found.Output);
            Assert.Equal(expected.Recipe, found.Recipe);
            Assert.Equal(expected.Video, found.Video);
        }

        var message = Dotnet(folder["app"], [("NABLAGEN_LIBTORCH", "/nowhere")], fails: true, Path.Combine(folder["bin"], "app.dll"), Model);
        Assert.Contains("libtorch is not in /nowhere, which is where NABLAGEN_LIBTORCH names: expected libtorch_cpu.so there", message);
    }

    private static string Model => Repository("models/tiny");

    private static string Sample => Repository("samples/FirstVideo");

    private static string Configuration => new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    private static void CheckPackage(string feed)
    {
        using var package = ZipFile.OpenRead(Directory.GetFiles(feed, "NablaGen.?.*.nupkg").Single());
        var names = package.Entries.Select(entry => entry.FullName).ToHashSet();
        Assert.Superset(
            new HashSet<string>
            {
                "README.md", "LICENSE", "lib/net10.0/NablaGen.Core.dll", "lib/net10.0/NablaGen.Core.xml",
                "buildTransitive/NablaGen.targets", "buildTransitive/NablaGen.props",
            },
            names);
        using var specification = new StreamReader(package.GetEntry("NablaGen.nuspec")!.Open());
        var text = specification.ReadToEnd();
        Assert.Contains("<license type=\"expression\">MIT</license>", text);
        Assert.DoesNotContain("libtorch", text);
        Assert.Equal(2, Directory.GetFiles(feed, "*.snupkg").Length);
    }

    // Packages come from the ones just made and from those that the build of the tests has restored; nothing is downloaded.
    private static void WriteProject(TempFolder folder)
    {
        var cache = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        File.WriteAllText(folder["nuget.config"], $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="packages" /></config>
              <fallbackPackageFolders><clear /><add key="cache" value="{cache}" /></fallbackPackageFolders>
              <packageSources><clear /><add key="feed" value="feed" /></packageSources>
            </configuration>
            """);
        Directory.CreateDirectory(folder["app"]);
        File.Copy(Path.Combine(Sample, "FirstVideo.csproj"), Path.Combine(folder["app"], "app.csproj"));
        var lines = ReadmeLines("README.md");
        Assert.InRange(lines.Length, 5, 12);
        Assert.Equal(lines, ReadmeLines("src/NablaGen/PACKAGE.md"));
        Assert.Equal(lines, File.ReadAllLines(Path.Combine(Sample, "Program.cs")));
        var small = string.Join('\n', lines).Replace("Frames = 17", "Frames = 5").Replace("Steps = 20", "Steps = 2, Seed = 1, Width = 64, Height = 64");
        Assert.Contains("Frames = 5, Steps = 2, Seed = 1, Width = 64", small);
        File.WriteAllText(Path.Combine(folder["app"], "Program.cs"), small + "\nConsole.WriteLine($\"half is {0.5}\");\n");
    }

    // The indented block of a page that begins with a using.
    private static string[] ReadmeLines(string page) =>
        [.. File.ReadAllLines(Repository(page)).SkipWhile(line => !line.StartsWith("    using ", StringComparison.Ordinal))
            .TakeWhile(line => line.Length == 0 || line.StartsWith("    ", StringComparison.Ordinal)).Select(line => line.Trim()).SkipLast(1)];

    private static (string Output, string Recipe, byte[] Video) Run(TempFolder folder, string culture)
    {
        var place = Directory.CreateDirectory(folder[culture]).FullName;
        var output = Dotnet(place, [("LC_ALL", culture == "C" ? culture : culture + ".UTF-8")], Path.Combine(folder["bin"], "app.dll"), Model);
        // The result holds seconds and memory, which differ from run to run.
        var recipe = JsonNode.Parse(File.ReadAllText(Path.Combine(place, "meadow.json")))!.AsObject();
        Assert.True(recipe.Remove("result"));
        return (output, recipe.ToJsonString(), File.ReadAllBytes(Path.Combine(place, "meadow.mp4")));
    }

    private static string Dotnet(string place, (string Name, string Value)[] environment, params string[] arguments) => Dotnet(place, environment, false, arguments);

    private static string Dotnet(string place, (string Name, string Value)[] environment, bool fails, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", arguments)
        {
            WorkingDirectory = place,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        // The tests are invariant, their consumer must not be.
        start.Environment.Remove("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT");
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        Assert.True(process.ExitCode == 0 != fails, $"dotnet {string.Join(' ', arguments)}: exit code {process.ExitCode}\n{output}");
        return output;
    }

    private static string Repository(string path, [CallerFilePath] string source = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "../../..", path));
}
