using System.Text;
using NablaGen.Files;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Tests.Weights;
using NablaGen.Weights;

namespace NablaGen.Tests.Files;

public sealed class FileKindTests : IDisposable
{
    private const string Pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:96b6b242ca1c2f2496b6b242ca1c2f24\nsize 5676070424\n";
    private const string Page = "<!DOCTYPE html><title>401</title>\n";

    private readonly RawFile _raw = new();

    /// <summary>What lies under the name of weights, and words of the line that says so.</summary>
    public static TheoryData<string, string, string> Others { get; } = new()
    {
        { "pointer", Pointer, "a Git LFS pointer, not |a file of 5676070424 bytes: run 'git lfs pull'" },
        { "page", Page, "a web page, not |login" },
        { "xml", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "a web page, not " },
        { "gguf", "GGUF\u0003\0\0\0" + new string('\0', 500), "a GGUF file, not " },
        { "zeros", new string('\0', 4096), "begins with zeros|not finished; download it again" },
        { "gzip", "\u001f\u008b\u0008" + new string('\0', 20), "compressed with gzip, not " },
        { "jpeg", "\u00ff\u00d8\u00ff\u00e0\0\u0010JFIF\0" + new string('\u0001', 20), "a JPEG picture, not " },
        { "video", "\0\0\0\u0020ftypisom" + new string('\u0001', 20), "a video, not " },
        { "numpy", "\u0093NUMPY\u0001\0" + new string(' ', 20), "a NumPy array, not " },
        { "json", "{\"error\":\"Entry not found\"}", "JSON text, not " },
    };

    [Theory]
    [MemberData(nameof(Others))]
    public void Each_reader_says_what_the_file_is(string name, string content, string words)
    {
        var bytes = content.Any(c => c > 127) || content.Contains('\0') ? Encoding.Latin1.GetBytes(content) : Encoding.UTF8.GetBytes(content);
        foreach (var (ending, open) in new (string, Action<string>)[]
        {
            (".safetensors", path => SafetensorsFile.Open(path).Dispose()),
            (".pth", path => PthFile.Open(path).Dispose()),
            (".model", path => UmT5Tokenizer.Load(path)),
        })
        {
            var path = _raw.Write(name + ending, bytes);
            RawFile.Fault(() => open(path), [path + ": is ", .. words.Split('|')]);
        }

        var json = _raw.Write(name + ".json", bytes);
        if (name != "json")
        {
            RawFile.Fault(() => JsonFile.Read(json).Dispose(), json + ": is not JSON: it is ", words.Split('|')[^1].Replace(", not ", "", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Weights_under_the_name_of_the_other_format()
    {
        var tensors = RawFile.Bytes("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4);
        var zip = _raw.Write("a.safetensors", PthFixtures.Protocol2);
        RawFile.Fault(() => SafetensorsFile.Open(zip), "is a zip archive, as .pth files are since PyTorch 1.6, not a safetensors file");
        var pth = _raw.Write("a.pth", tensors);
        RawFile.Fault(() => PthFile.Open(pth), "is a safetensors file, not a zip archive");
    }

    [Fact]
    public void A_truncated_file_is_told_as_truncated()
    {
        var bytes = RawFile.Bytes("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4)[..30];
        var path = _raw.Write("cut.safetensors", bytes);
        RawFile.Fault(() => SafetensorsFile.Open(path), "the header is longer than the file", "truncated");
    }

    [Theory]
    [InlineData(0.5, 1)]
    [InlineData(0.05, 0.25)]
    [InlineData(0.8, 1)]
    public void A_stretch_of_zeros_is_found(double from, double to)
    {
        var path = Noise(3 << 20, from, to);
        var line = RawFile.Fault(() => ZeroRun.Check([path]), path, "of zeros around byte", "download it again");
        Assert.DoesNotContain("begins", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3 << 20, 0.5, 0.53)]
    [InlineData(200_000, 0, 1)]
    [InlineData(0, 0, 0)]
    public void Padding_and_untrained_layers_of_small_models_pass(int bytes, double from, double to) => ZeroRun.Check([Noise(bytes, from, to)]);

    // Places are 1.25 MiB apart.
    [Theory]
    [InlineData(1 << 20, true)]
    [InlineData(1 << 19, false)]
    public void A_hole_between_the_places_that_are_looked_at_is_found(int hole, bool isFound)
    {
        const int Length = 80 << 20, At = (10 << 20) + (1 << 16);
        var path = _raw.At("hole.safetensors");
        using (var file = File.Create(path))
        {
            file.SetLength(Length);
            Assert.SkipWhen(FileHoles.Find(file.SafeFileHandle, Length, Length) is null, "this file system tells no holes");
            var noise = new byte[1 << 20];
            new Random(1).NextBytes(noise);
            foreach (var (from, to) in new[] { (0, At), (At + hole, Length) })
            {
                file.Position = from;
                for (var left = to - from; left > 0; left -= noise.Length)
                {
                    file.Write(noise, 0, Math.Min(left, noise.Length));
                }
            }
        }

        if (isFound)
        {
            RawFile.Fault(() => ZeroRun.Check([path]), path, $"of zeros around byte {At}", "download it again");
        }
        else
        {
            ZeroRun.Check([path]);
        }
    }

    public void Dispose() => _raw.Dispose();

    private string Noise(int length, double from, double to)
    {
        var bytes = new byte[length];
        new Random(1).NextBytes(bytes);
        bytes.AsSpan((int)(length * from), (int)(length * (to - from))).Clear();
        return _raw.Write($"{length}-{from}.safetensors", bytes);
    }
}
