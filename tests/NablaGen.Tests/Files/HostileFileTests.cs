using System.Text;
using System.Text.Json;
using NablaGen.Files;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Jobs.Batch;
using NablaGen.Jobs.Calibration;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Tests.Jobs.Calibration;
using NablaGen.Tests.Tokenizer;
using NablaGen.Tests.Video;
using NablaGen.Tests.Weights;
using NablaGen.Training.Evaluation.Results;
using NablaGen.Training.Models;
using NablaGen.Training.Runs;
using NablaGen.Video;
using NablaGen.Video.Pictures;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Files;

/// <summary>
/// Every file that is read may be a stranger's, cut or damaged: each of ten thousand is read, or refused in one short line that a terminal
/// only shows, with little memory.
/// </summary>
public sealed class HostileFileTests : IDisposable
{
    private const int LongestLine = 1500;
    private const long MaxBytes = 64 << 20;

    private static readonly Recipe Recipe = Recipe.Of(GoldenSampling.Request("nabla-0.6_sta-3-3-3"), "a \"model\"", "0123456789abcdef", "cpu", "float32");

    private readonly RawFile _raw = new();

    /// <summary>Readers and how many damaged files each gets: 11,000 with the pictures' 1,600 (PictureFuzzTests).</summary>
    public static TheoryData<string, int> Readers { get; } = new()
    {
        { "recipe.json", 900 }, { "recipe.png", 500 }, { "recipe.mp4", 300 }, { "atoms.mp4", 200 }, { "latents.safetensors", 900 }, { "rows.csv", 700 },
        { "rows.jsonl", 700 }, { "rows.txt", 400 }, { "nablagen.json", 700 }, { "config.json", 700 }, { "spiece.model", 500 }, { "manifest.jsonl", 500 },
        { "index.json", 1300 }, { "weights.pth", 400 }, { "thresholds.json", 400 }, { "presets.json", 300 }, { "evaluation.jsonl", 200 },
        { "loss.jsonl", 200 }, { "plan.json", 200 }, { "claim", 200 },
    };

    [Theory]
    [MemberData(nameof(Readers))]
    public void Damaged_files_are_read_or_refused_in_a_line(string reader, int rounds)
    {
        var (path, seed, read) = Reader(reader);
        _raw.Write(path, seed);
        read(_raw.At(path)); // The whole one is read.

        var isText = !seed.Contains((byte)0);
        var random = new Random(reader.Sum(c => c));
        var refused = 0;
        var faults = new List<string>();
        for (var round = 0; round < rounds; round++)
        {
            var bytes = isText && random.Next(5) > 0 ? Encoding.UTF8.GetBytes(Damage.Of(Encoding.UTF8.GetString(seed), random)) : Damage.Of(seed, random);
            _raw.Write(path, bytes);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                read(_raw.At(path));
            }
            catch (NablaGenException error)
            {
                refused++;
                if (error.Message.Length > LongestLine || error.Message.Any(Line.IsOrder))
                {
                    faults.Add($"round {round}, {error.Message.Length} characters: {Line.Of(error.Message, 300)}");
                }
            }
            catch (Exception error)
            {
                faults.Add($"round {round}, {Convert.ToBase64String(bytes.AsSpan(0, Math.Min(bytes.Length, 600)))}: {error}");
            }

            if (GC.GetAllocatedBytesForCurrentThread() - before is var taken and > MaxBytes)
            {
                faults.Add($"round {round}: took {taken >> 20} MiB");
            }
        }

        Assert.True(faults.Count == 0, string.Join('\n', faults.Take(4)));

        // Damage that no reader minds would test nothing; those that pass over what is none of theirs mind nothing.
        if (reader is not ("atoms.mp4" or "manifest.jsonl" or "evaluation.jsonl" or "claim" or "rows.txt"))
        {
            Assert.InRange(refused, rounds / 20, rounds);
        }
    }

    public void Dispose() => _raw.Dispose();

    // The file's name in the folder, a whole one, and what reads it.
    private (string Path, byte[] Seed, Action<string> Read) Reader(string name)
    {
        var json = Recipe.ToJson();
        byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
        switch (name)
        {
            case "recipe.json":
                return (name, Bytes(json), path => RecipeFile.Read(path));
            case "recipe.png":
                PictureFile.SavePng(_raw.At(name), 8, 8, Clip.Noise(8, 8, 1), new Dictionary<string, string> { ["Comment"] = json });
                return (name, File.ReadAllBytes(_raw.At(name)), path => RecipeFile.Read(path));
            case "recipe.mp4":
                // What ffprobe answers of a video of ours.
                return (name, Bytes(Probed(json)), path => RecipeFile.OfTags(VideoProbe.Parse(File.ReadAllText(path), path).Tags, path));
            case "atoms.mp4":
                // What of a video is read here and not by ffprobe.
                return (name, [.. Atom("ftyp", 16), .. Atom("free", 0), .. Atom("moov", 40), .. Atom("mdat", 100)], path => Mp4Atoms.IsFastStart(path));
            case "latents.safetensors":
                using (var latents = zeros(2, 1, 2, 2))
                {
                    LatentFile.Save(_raw.At(name), latents, Recipe);
                }

                return (name, File.ReadAllBytes(_raw.At(name)), ReadLatents);
            case "rows.csv":
                return (name, Bytes("prompt,seed,threshold,negative_prompt,width\n\"a red, \"\"round\"\" ball\",7,0.6,,64\na star,8,,blurry,128\n"), path => PromptFile.Read(path));
            case "rows.jsonl":
                return (name, Bytes("{\"prompt\":\"a red ball\",\"seed\":7,\"attention\":\"nabla-0.7\"}\n{\"prompt\":\"a star\",\"frames\":5,\"shift\":3.5}\n"), path => PromptFile.Read(path));
            case "rows.txt":
                return (name, Bytes("a red ball\n# a note\n猫 and a star\n"), path => PromptFile.Read(path));
            case "nablagen.json":
                new NablaGenJson { Name = "tiny" }.Save(_raw.At(name));
                return (name, File.ReadAllBytes(_raw.At(name)), path => GenerationDefaults.Of(NablaGenJson.Open(path).Defaults));
            case "config.json":
                return (name, Bytes("""{"model_type":"t2v","patch_size":[1,2,2],"text_len":512,"in_dim":16,"dim":64,"ffn_dim":128,"freq_dim":32,"out_dim":16,"num_heads":2,"num_layers":3,"eps":1e-06,"sparse_algo":"nabla-0.7"}"""), ReadConfig);
            case "spiece.model":
                return (name, VocabularyFile.Model(("▁a", -1), ("b", -2), ("ab", -1.5f)), path => UmT5Tokenizer.Load(path).Tokenize("ab <extra_id_7> ba", 8));
            case "manifest.jsonl":
                var manifest = new BatchManifest(_raw.Folder, Shard.Whole);
                var entry = new ManifestEntry
                {
                    Time = DateTimeOffset.UnixEpoch,
                    Name = "0001-a",
                    State = RowState.Done,
                    Row = 1,
                    Where = "p:1",
                    Seconds = 1.5,
                    Host = "h",
                    Recipe = Recipe,
                    Video = "0001-a.png",
                    Bytes = 7,
                    Sha256 = "00",
                };
                manifest.Add(entry);
                manifest.Add(entry with { State = RowState.Failed, Error = "why" });
                return (name, File.ReadAllBytes(manifest.Path), ReadManifest);
            case "index.json":
                _raw.Write("one.safetensors", RawFile.Bytes("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}""", 8));
                return (name, Bytes("""{"metadata":{"total_size":8},"weight_map":{"a":"one.safetensors","b":"one.safetensors"}}"""), path => ShardedCheckpoint.Open(path).Dispose());
            case "weights.pth":
                return (name, PthFixtures.Protocol2, ReadWeights);
            case "thresholds.json":
                CalibrationFile.Write(_raw.At(name), CalibrationFileTests.Found);
                return (name, File.ReadAllBytes(_raw.At(name)), ReadThresholds);
            case "presets.json":
                return (name, Bytes("""{"fast":{"steps":8,"threshold":0.6},"fine":{"steps":50,"width":832,"height":480,"attention":"sta-3-3-3","solver":"dpm++"}}"""), path => Preset.ReadFile(path));
            case "evaluation.jsonl":
                return (RowFile.FileName, Bytes("""{"rules":2,"held_out":false,"success":true,"attributes":[],"density":0.5,"sampling_seconds":1,"recipe":""" + json + "}\n"), ReadRows);
            case "loss.jsonl":
                return (name, Bytes("{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":0.25}\n"), path => _ = new LossLog(path, 5));
            case "plan.json":
                TrainingPlan.ForVae(ModelSizes.Toy).Save(_raw.At(name));
                return (name, File.ReadAllBytes(_raw.At(name)), path => TrainingPlan.Open(path));
            default:
                return (".claims/x.1.claim", Bytes("""{"Host":"somewhere","Process":7,"Started":12345}"""), Claim);
        }
    }

    private static byte[] Atom(string name, int length) =>
        [0, 0, 0, (byte)(8 + length), .. Encoding.ASCII.GetBytes(name), .. Enumerable.Repeat((byte)1, length)];

    private static void ReadLatents(string path)
    {
        RecipeFile.Read(path);
        LatentFile.Load(path).Latents.Dispose();
    }

    private static void ReadConfig(string path)
    {
        using var document = JsonFile.Read(path);
        ModelConfigs.Dit(new JsonFields(document.RootElement, path));
    }

    private static void ReadManifest(string path)
    {
        var manifest = new BatchManifest(Path.GetDirectoryName(path)!, Shard.Whole);
        manifest.Refresh();
        manifest.Named("0001-a");
        manifest.Of(Recipe);
    }

    private static void ReadWeights(string path)
    {
        using var file = PthFile.Open(path);
        foreach (var key in file.Entries.Keys)
        {
            file.Read(key).Dispose();
        }
    }

    private static void ReadThresholds(string path)
    {
        CalibrationFile.Read(path);
        ThresholdFile.Read(path);
    }

    private static void ReadRows(string path)
    {
        using var rows = RowFile.Open(Path.GetDirectoryName(path)!);
        rows.Find(Recipe);
    }

    private static void Claim(string path)
    {
        using var claims = new FileClaims(Path.GetDirectoryName(Path.GetDirectoryName(path))!);
        claims.TryClaim("x");
        claims.Holds("x");
        foreach (var other in Directory.GetFiles(Path.GetDirectoryName(path)!).Where(file => file != path))
        {
            File.Delete(other);
        }
    }

    private static string Probed(string recipe) =>
        """
        {"programs":[],"streams":[{"index":0,"codec_name":"h264","codec_type":"video","width":64,"height":64,"pix_fmt":"yuv420p","color_space":"bt709",
        "r_frame_rate":"8/1","avg_frame_rate":"8/1","time_base":"1/8192","start_time":"0:00:00.000000","duration":"0:00:00.625000","nb_frames":"5",
        "nb_read_packets":"5","disposition":{"default":1},"tags":{"language":"und"}}],"chapters":[],"format":{"filename":"a.mp4","nb_streams":1,
        "format_name":"mov,mp4","format_long_name":"QuickTime / MOV","start_time":"0:00:00.000000","duration":"0:00:00.625000","size":"1234",
        "bit_rate":"1234","probe_score":100,"tags":{"major_brand":"isom","comment":
        """ + JsonSerializer.Serialize(recipe) + "}}}\n";
}
