using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace NablaGen.Tests.Architecture;

/// <summary>What only one place of the source text may say.</summary>
public partial class SourceTextTests
{
    // A checkpoint's file names and its layers' keys are its layout's and its family's to know.
    private const string Family = "NablaGen/Models/Wan/";

    // Of one source: what is longer says more than one thing.
    private const int MostLines = 300;

    [Fact]
    public void No_file_name_and_no_key_of_a_checkpoint_outside_its_family()
    {
        var found = Literals().Distinct().ToList();
        Assert.True(found.Count == 0, string.Join('\n', found.Select(place => $"{place.File}: {place.Literal}")));
    }

    [Fact]
    public void The_inference_library_never_asks_for_gradients()
    {
        var asks = Sources().Where(file => file.Name.StartsWith("NablaGen/", StringComparison.Ordinal) && File.ReadAllText(file.Path).Contains("is_grad_enabled", StringComparison.Ordinal));
        Assert.Empty(asks.Select(file => file.Name));
    }

    [Fact]
    public void Jobs_do_not_know_the_family_s_layers()
    {
        // Its configurations they do: the presets of the benchmarks are Wan's.
        var typed = Sources().Where(file => file.Name == "NablaGen/Jobs/Benchmarks/DitProfile.cs" && File.ReadAllText(file.Path).Contains("Models.Wan", StringComparison.Ordinal));
        Assert.Empty(typed.Select(file => file.Name));
    }

    [Fact]
    public void No_axis_0_is_taken_for_a_type()
    {
        // The literal 0 is an enumeration's value too: `sum(0)` is the sum of everything as bytes. `sum([0])` is along the axis.
        var sums = Sources().Where(file => File.ReadAllText(file.Path).Contains(".sum(0)", StringComparison.Ordinal));
        Assert.Empty(sums.Select(file => file.Name));
    }

    [Fact]
    public void Files_are_short()
    {
        var tooLong = Sources().Concat(Sources("tests")).Select(file => (file.Name, Lines: File.ReadLines(file.Path).Count())).Where(file => file.Lines > MostLines);
        Assert.Empty(tooLong.Select(file => $"{file.Name}: {file.Lines} lines, at most {MostLines}"));
    }

    [Theory]
    [InlineData("var x = $\"blocks.{layer}.\";", true)]
    [InlineData("Open(\"config.json\")", true)]
    [InlineData("\"google/umt5-xxl/spiece.model\"", true)]
    [InlineData("\"diffusion_pytorch_model.safetensors\"", true)]
    [InlineData("$\"1 to {most} blocks.\"", false)]
    [InlineData("\"a folder with config.json in it\"", false)]
    public void Such_literals_are_found(string code, bool expected) => Assert.Equal(expected, Literal().IsMatch(code));

    private static IEnumerable<(string File, string Literal)> Literals() => Sources()
        .Where(file => !file.Name.StartsWith(Family, StringComparison.Ordinal))
        .SelectMany(file => Literal().Matches(File.ReadAllText(file.Path)).Select(match => (file.Name, match.Value)));

    private static IEnumerable<(string Path, string Name)> Sources(string folder = "src")
    {
        var root = Path.GetFullPath(Path.Combine(Folder(), "../../..", folder));
        Assert.SkipUnless(Directory.Exists(root), "needs the sources");
        return Directory.EnumerateFiles(root, "*.cs", SearchOption.AllDirectories)
            .Select(path => (Path: path, Name: Path.GetRelativePath(root, path).Replace('\\', '/')))
            .Where(file => !file.Name.Contains("/obj/", StringComparison.Ordinal));
    }

    private static string Folder([CallerFilePath] string source = "") => Path.GetDirectoryName(source)!;

    [GeneratedRegex("""
        "blocks\.|"([^" ]*/)?(config\.json|diffusion_pytorch_model[^" ]*|models_t5[^" ]*|Wan2\.1_VAE[^" ]*|[^" ]*spiece\.model)"
        """)]
    private static partial Regex Literal();
}
