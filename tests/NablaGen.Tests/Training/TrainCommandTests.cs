using System.Text.Json;
using NablaGen.Tests.Cli;
using NablaGen.Video;
using NablaGen.Video.Pictures;
using NablaGen.Weights;

namespace NablaGen.Tests.Training;

[Trait(Lane.Name, Lane.Commands)]
public sealed class TrainCommandTests(TrainCommandTests.Begun begun) : IClassFixture<TrainCommandTests.Begun>, IDisposable
{
    private static readonly string[] Few = ["--batch", "2", "--pool", "8", "--pictures", "0", "--device", "cpu"];

    private readonly TempFolder _folder = new();

    [Fact]
    public void A_model_is_trained_in_slices_and_makes_a_video()
    {
        Assert.Contains("dit: making clips 1/1", begun.Output);
        var output = begun.Copy(_folder["model"]);
        var last = Run(["train", "dit", "--output", output, "--resume", "--steps", "4", "--attention", "dense"]);
        Assert.Contains("dit: step 4/4, loss", last);
        Assert.DoesNotContain("step 2/4", last);
        // A resumed run keeps what it was told at first.
        Assert.Contains("\"optimizer\": \"muon\"", File.ReadAllText(Path.Combine(output, "training", "dit.plan.json")));

        var log = File.ReadAllLines(Path.Combine(output, "training", "dit.loss.jsonl")).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(4, log[^1].GetProperty("step").GetInt32());
        Assert.True(log[^1].GetProperty("loss").GetDouble() > 0);
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(Path.Combine(output, "training", "dit.000004.png"))[..4]);
        Assert.DoesNotContain(_folder.Files, file => file.EndsWith(".partial"));

        using (var weights = SafetensorsFile.Open(Path.Combine(output, "diffusion_pytorch_model.safetensors")))
        {
            Assert.All(weights.Entries.Values, entry => Assert.Equal(StoredType.BF16, entry.Type));
        }

        Run(["generate", "--model", output, "--prompt", "a red ball", "--steps", "2", "--seed", "1", "--output", _folder["a.mp4"]]);
        Assert.Equal(5, VideoProbe.Read(_folder["a.mp4"]).FrameCount);
    }

    [Fact]
    public void Another_models_weights_are_a_beginning_and_the_clock_an_end()
    {
        var (first, second) = (begun.Copy(_folder["first"]), _folder["second"]);
        // A step at a rate of next to nothing leaves them as they are: the VAE comes along, the transformer is read.
        Run(["train", "dit", "--from", first, "--output", second, "--tokenizer", Toys.TokenizerPath, "--steps", "1", "--learning-rate", "1e-12", "--pool", "16", .. Few[..2]]);
        foreach (var file in new[] { "diffusion_pytorch_model.safetensors", "Wan2.1_VAE.safetensors", "models_t5_umt5-xxl-enc-bf16.safetensors" })
        {
            Assert.Equal(File.ReadAllBytes(Path.Combine(first, file)), File.ReadAllBytes(Path.Combine(second, file)));
        }

        var annealed = _folder["annealed"];
        string[] anneal = ["train", "vae", "--from", first, "--output", annealed, "--anneal", .. Few];
        // On a busy machine three seconds are over before the first step.
        if (NablaGenProcess.Run([.. anneal, "--minutes", "0.05"]).ExitCode != 0)
        {
            Run([.. anneal, "--minutes", "0.5"]);
        }

        var last = JsonDocument.Parse(File.ReadAllLines(Path.Combine(annealed, "training", "vae.loss.jsonl"))[^1]).RootElement.GetProperty("step").GetInt32();
        Assert.InRange(last, 1, NablaGen.Training.Runs.TrainingPlan.ForVae(Toys.Sizes()).Steps - 1);
    }

    [Fact]
    public void A_text_encoder_is_trained_beside_a_model_and_makes_it_whole_again()
    {
        var (first, second) = (begun.Copy(_folder["first"]), _folder["second"]);
        var output = Run(["train", "text", "--from", first, "--output", second, "--batch", "8", "--steps", "2", "--device", "cpu"]);
        Assert.Contains("right of both objects are shapes", output);
        Run(["train", "text", "--output", second, "--resume", "--steps", "3"]);
        foreach (var file in new[] { "diffusion_pytorch_model.safetensors", "Wan2.1_VAE.safetensors", "config.json", "google/umt5-xxl/spiece.model" })
        {
            Assert.Equal(File.ReadAllBytes(Path.Combine(first, file)), File.ReadAllBytes(Path.Combine(second, file)));
        }

        const string Encoder = "models_t5_umt5-xxl-enc-bf16.safetensors";
        Assert.NotEqual(File.ReadAllBytes(Path.Combine(first, Encoder)), File.ReadAllBytes(Path.Combine(second, Encoder)));
        Assert.Empty(Directory.GetFiles(Path.Combine(second, "training"), "text.0*.png"));
        var refused = NablaGenCommand.Run(["train", "dit", "--output", second, "--steps", "1"]);
        Assert.Equal((2, $"nablagen: {second} has a text encoder that train text trained, and this would start it from random weights: use train dit --from {second} --output ANOTHER"),
            (refused.ExitCode, refused.Error.Split('\n')[0]));
        Run(["generate", "--model", second, "--prompt", "a red ball", "--steps", "2", "--seed", "1", "--output", _folder["a.mp4"]]);
        Run(["train", "dit", "--from", second, "--output", _folder["third"], "--steps", "1", "--pool", "16", .. Few[..2]]);
    }

    [Fact]
    public void A_picture_model_begins_with_a_text_models_weights_and_makes_a_video()
    {
        var (first, second) = (begun.Copy(_folder["first"]), _folder["second"]);
        Run(["train", "dit", "--from", first, "--output", second, "--task", "i2v", "--steps", "1", "--pool", "16", .. Few[..2]]);
        using (var weights = SafetensorsFile.Open(Path.Combine(second, "diffusion_pytorch_model.safetensors")))
        {
            Assert.Equal([64, 12, 1, 2, 2], weights.Entries["patch_embedding.weight"].Shape);
        }

        // One text encoder serves both.
        const string Encoder = "models_t5_umt5-xxl-enc-bf16.safetensors";
        Assert.Equal(File.ReadAllBytes(Path.Combine(first, Encoder)), File.ReadAllBytes(Path.Combine(second, Encoder)));
        PictureFile.SavePng(_folder["a.png"], 32, 32, [.. Enumerable.Range(0, 32 * 32 * 3).Select(i => (byte)i)]);
        Directory.CreateDirectory(Path.Combine(first, "i2v_model"));
        foreach (var file in new[] { "config.json", "nablagen.json", "diffusion_pytorch_model.safetensors" })
        {
            File.Copy(Path.Combine(second, file), Path.Combine(first, "i2v_model", file));
        }

        Run(["generate", "--model", first, "--prompt", "a red ball", "--image", _folder["a.png"], "--steps", "2", "--seed", "1", "--output", _folder["a.mp4"]]);
        Assert.Equal(5, VideoProbe.Read(_folder["a.mp4"]).FrameCount);
    }

    [Theory]
    [InlineData("Unrecognized command or argument '--task'", "vae", "--task", "i2v")]
    [InlineData("Argument 'v2v' not recognized. Must be one of:", "dit", "--task", "v2v")]
    [InlineData("Unrecognized command or argument '--width'", "text", "--width", "64")]
    [InlineData("Unrecognized command or argument '--pool'", "text", "--pool", "64")]
    [InlineData("--from has no effect with --preset or --resume", "text", "--from", "models/tiny", "--preset", "toy")]
    [InlineData("does not exist: leave out --resume to start a training", "text", "--resume")]
    [InlineData("attention 'nabla-0.5+tail': +tail has no gradient", "dit", "--preset", "toy", "--attention", "nabla-0.5+tail")]
    [InlineData("batch must be 1 or more, found 0", "text", "--preset", "toy", "--batch", "0")]
    [InlineData("--anneal needs --minutes, and no --steps", "vae", "--preset", "toy", "--anneal")]
    [InlineData("--anneal needs --minutes, and no --steps", "vae", "--preset", "toy", "--anneal", "--minutes", "1", "--steps", "5")]
    [InlineData("size '64': expected width and height, and frames if they differ, such as 320x192 or 320x192x17", "vae", "--preset", "toy", "--sizes", "64")]
    [InlineData("width must be a multiple of 16, found 40", "vae", "--preset", "toy", "--sizes", "64x64", "40x64")]
    [InlineData("frames must be 4n + 1, found 4", "vae", "--preset", "toy", "--sizes", "64x64x4")]
    [InlineData("pool must have a group of 8 (--fresh) for each of the 2 sizes, found 8", "vae", "--preset", "toy", "--sizes", "64x64", "64x32", "--pool", "8")]
    [InlineData("preset 'huge' is not known: use tiny, toy or a folder with config.json and nablagen.json", "vae", "--preset", "huge")]
    [InlineData("does not exist: leave out --resume to start a training", "vae", "--resume")]
    [InlineData("does not exist: leave out --resume to start a training", "dit", "--resume")]
    [InlineData("batch must be 1 or more, found 0", "vae", "--batch", "0")]
    [InlineData("width must be a multiple of 16, found 40", "dit", "--width", "40")]
    [InlineData("frames must be 4n + 1, found 4", "dit", "--frames", "4")]
    [InlineData("minutes must be above 0, found 0", "vae", "--preset", "toy", "--minutes", "0")]
    [InlineData("attention 'nabla-2': NABLA's threshold must be above 0 and at most 1", "dit", "--attention", "nabla-2")]
    [InlineData("pool must be a multiple of its groups of 8 (--fresh), found 9", "vae", "--preset", "toy", "--pool", "9")]
    [InlineData("pool must be a multiple of its groups of 6 (--fresh), found 64", "vae", "--preset", "toy", "--fresh", "6")]
    [InlineData("fresh must be 1 or more, found 0", "vae", "--preset", "toy", "--fresh", "0")]
    [InlineData("Argument '7' not recognized. Must be one of:", "vae", "--preset", "toy", "--optimizer", "7")]
    [InlineData("attention 'nabla-2': NABLA's threshold must be above 0 and at most 1", "dit", "--attention", "dense", "nabla-2")]
    [InlineData("--freeze-encoder needs --from: there is no encoder yet", "vae", "--freeze-encoder")]
    [InlineData("--freeze-encoder needs --from: there is no encoder yet", "dit", "--freeze-encoder")]
    [InlineData("--gpus: expected a number of 1 or more, or all; found '0'", "dit", "--gpus", "0")]
    [InlineData("--gpus needs CUDA devices: on the CPU one process uses all cores", "dit", "--gpus", "2", "--device", "cpu")]
    [InlineData("Unrecognized command or argument '--freeze-encoder'", "text", "--freeze-encoder")]
    [InlineData("Unrecognized command or argument '--attention'", "vae", "--attention", "dense")]
    public void Wrong_flags_are_refused_in_one_line(string line, string kind, params string[] flags)
    {
        var run = NablaGenCommand.Run(["train", kind, "--output", _folder["new"], .. flags]);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(line, run.Error);
        Assert.Equal("", run.Output);
        Assert.False(Directory.Exists(_folder["new"]));
    }

    [Fact]
    public void A_file_of_thresholds_may_have_a_space_in_its_name()
    {
        // It is found and read: that it is none of ours is what it is told.
        File.WriteAllText(_folder["two words.json"], "{}");
        var run = NablaGenCommand.Run(["train", "dit", "--output", _folder["new"], "--attention", "dense", $"nabla-{_folder["two words.json"]}"]);
        Assert.Contains("two words.json", run.Error);
        Assert.DoesNotContain("neither a threshold", run.Error);
    }

    [Fact]
    public void Without_a_vae_there_is_nothing_to_learn_from()
    {
        var run = NablaGenCommand.Run(["train", "dit", "--output", _folder["new"], "--preset", "toy", "--tokenizer", Toys.TokenizerPath, "--device", "cpu"]);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("train the VAE first (nablagen train vae --output", run.Error);
    }

    [Fact]
    public void A_run_too_short_for_a_step_says_so_and_may_be_given_again()
    {
        // Its sizes are in the folder, and nothing learnt: the same command begins anew.
        for (var i = 0; i < 2; i++)
        {
            var run = NablaGenCommand.Run(["train", "vae", "--output", _folder["new"], "--preset", "toy", "--device", "cpu", "--minutes", "0.0001"]);
            Assert.Equal((1, "nablagen: no step was made, because the time was over before the first one: give more --minutes\n"), (run.ExitCode, run.Error));
            Assert.True(File.Exists(_folder["new/config.json"]));
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>A VAE and a transformer of a few steps, made once.</summary>
    public sealed class Begun : IDisposable
    {
        private readonly TempFolder _folder = new();

        public Begun()
        {
            Toys.Sizes().Save(_folder["preset"]);
            Run(["train", "vae", "--output", _folder["model"], "--preset", _folder["preset"], "--steps", "3", .. Few]);
            Output = Run(["train", "dit", "--output", _folder["model"], "--tokenizer", Toys.TokenizerPath, "--steps", "2", "--minutes", "30", "--optimizer", "muon", "--pool", "16", .. Few[..2]]);
        }

        /// <summary>What the transformer's training printed.</summary>
        public string Output { get; }

        public string Copy(string path)
        {
            foreach (var file in Directory.EnumerateFiles(_folder["model"], "*", SearchOption.AllDirectories))
            {
                var copy = Path.Combine(path, Path.GetRelativePath(_folder["model"], file));
                Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
                File.Copy(file, copy);
            }

            return path;
        }

        public void Dispose() => _folder.Dispose();
    }

    private static string Run(string[] arguments)
    {
        // A process of its own has oneDNN keep to AVX2 for a training, before libtorch is loaded (src/NablaGen/Tensors/OneDnn.cs): here that is too late.
        var run = arguments[..2] is ["train", "vae"] ? NablaGenProcess.Run(arguments) : NablaGenCommand.Run(arguments);
        Assert.True(run.ExitCode == 0, $"{string.Join(' ', arguments)}: {run.Error}");
        return run.Output;
    }
}
