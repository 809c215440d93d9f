using System.Globalization;
using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Generation.Conditioning;
using NablaGen.Generation.Fields;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Tensors;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;
using Conditioning = NablaGen.Models.Conditioning;

namespace NablaGen.Tests.Generation;

/// <summary>From pictures to latents and frames, with model folders made of the goldens.</summary>
public class PicturePipelineGoldenTests(PicturePipelineGoldenTests.Encoded encoded) : IClassFixture<PicturePipelineGoldenTests.Encoded>
{
    private const string I2v = "family/i2v-pipeline", Flf2v = "family/flf2v-pipeline", Ti2v = "family/ti2v-pipeline", Experts = "family/experts-pipeline";

    [Theory]
    [InlineData(I2v, "family/i2v")]
    [InlineData(Flf2v, "family/flf2v")]
    public void Pictures_become_what_the_reference_makes_of_them(string file, string transformer)
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        using var golden = Golden.Open(file);
        var (model, conditioning) = encoded.Of(file, transformer, "family/image-vae");
        var request = Request(golden, folder, "dense");
        var conditioner = new PictureConditioner(model);
        var resized = PictureConditioner.Pictures(request).Select(one => conditioner.Frame(one.Picture, one.Fit, request.Width, request.Height)).ToArray();
        for (var i = 0; i < resized.Length; i++)
        {
            Golden.AssertClose(resized[i].squeeze(0), golden[$"resized.{i}"], 1e-5);
        }

        var guide = conditioning.Prompt[Conditioning.Guide].squeeze(0);
        var channels = golden["mask"].shape[0];
        Assert.True(guide.narrow(0, 0, channels).Equals(golden["mask"]));
        Golden.AssertClose(guide, golden["y"], 1e-5);
        Golden.AssertClose(conditioning.Prompt[Conditioning.Image], golden["clip_fea"].flatten(0, 1).unsqueeze(0), 1e-5);
    }

    public static TheoryData<string, string, string, string> Latents()
    {
        var data = new TheoryData<string, string, string, string>();
        foreach (var (file, transformer) in new[] { (I2v, "family/i2v"), (Flf2v, "family/flf2v") })
        {
            using var golden = Golden.Open(file);
            foreach (var name in golden.Names.Where(name => name.StartsWith("latents.")))
            {
                data.Add(file, transformer, "family/image-vae", name["latents.".Length..]);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Latents))]
    public void Latents_of_pictures_equal_the_reference(string file, string transformer, string autoencoder, string attention)
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        using var golden = Golden.Open(file);
        var (model, conditioning) = encoded.Of(file, transformer, autoencoder);
        var request = Request(golden, folder, attention);
        var latents = Sample(golden, request, model, conditioning);
        Golden.AssertClose(latents, golden["latents." + attention], 1e-4);
        // The frames are of the last latents: the sparse ones where there are any.
        if (attention != "dense" || golden.Metadata("sparse").Length == 0)
        {
            AssertFrames(model, latents, golden["frames"]);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Latents_of_one_model_for_text_and_pictures_equal_the_reference(bool hasPicture)
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        using var golden = Golden.Open(Ti2v);
        var model = Model(folder, "family/ti2v", "family/vae22", null);
        Assert.Equal(48, model.Latents.Channels);
        Assert.Equal(16, model.Latents.SpatialStride);
        var request = Request(golden, folder, "dense", hasPicture);
        using var conditioning = Conditioned(golden, request, model);
        if (hasPicture)
        {
            Golden.AssertClose(conditioning.Prompt[Conditioning.FirstFrame].squeeze(0), golden["first"], 1e-5);
        }

        var latents = Sample(golden, request, model, conditioning);
        Golden.AssertClose(latents, golden[hasPicture ? "latents.image" : "latents.text"], 1e-4);
        if (hasPicture)
        {
            // The given frame is there bit for bit, and both passes in one batch give the same video.
            Assert.True(latents.narrow(1, 0, 1).Equals(conditioning.Prompt[Conditioning.FirstFrame].squeeze(0)));
            Golden.AssertClose(Sample(golden, request, model, conditioning, batch: true), golden["latents.image"], 1e-4);
            AssertFrames(model, latents, golden["frames.image"]);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Latents_of_two_experts_equal_the_reference(bool keepsBoth)
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        using var golden = Golden.Open(Experts);
        var model = Model(folder, Experts, "vae", null);
        var request = Request(golden, folder, "dense");
        using var conditioning = Conditioned(golden, request, model);
        Golden.AssertClose(Sample(golden, request, model, conditioning, keepsExperts: keepsBoth), golden["latents"], 1e-4);
        var boundary = model.Transformer.Boundary!.Value * FlowSchedule.TrainTimesteps;
        using var solver = Solvers.Create(request.Solver, request.Steps, request.Shift);
        Assert.Equal(golden.List("experts"), solver.Schedule.Timesteps.Select(time => time >= boundary ? "high" : "low"));
    }

    private static WanVideoModel Model(TempFolder folder, string transformer, string autoencoder, string? imageEncoder, string name = "model")
    {
        var path = folder[name];
        GoldenModelFolder.Assemble(path, transformer, autoencoder, imageEncoder);
        var model = WanVideoModel.Open(path);
        model.Check();
        return model;
    }

    private static GenerationRequest Request(Golden golden, TempFolder folder, string attention, bool hasPicture = true)
    {
        var pictures = hasPicture
            ? golden.Names.Where(name => name.StartsWith("image")).Order().Select(name => Saved(golden, name, folder[name + ".png"])).ToArray()
            : [];
        var noise = golden["noise"].shape;
        var stride = golden.Names.Contains("first") ? 16 : 8;
        double Number(string key, string? otherwise = null) =>
            double.Parse(golden.Metadata(otherwise is not null && !golden.HasMetadata(key) ? otherwise : key), CultureInfo.InvariantCulture);
        return new GenerationRequest
        {
            Prompt = "row 0",
            NegativePrompt = "row 1",
            Attention = AttentionExpression.Parse(attention),
            Width = (int)noise[3] * stride,
            Height = (int)noise[2] * stride,
            Frames = ((int)noise[1] - 1) * 4 + 1,
            Fps = 16,
            Steps = (int)Number("steps"),
            Solver = golden.Metadata("solver"),
            Shift = Number("shift"),
            Guidance = Number("guidance", "guidance_low"),
            Seed = 0,
            Image = pictures.ElementAtOrDefault(0),
            LastImage = pictures.ElementAtOrDefault(1),
        }.With(PictureFields.Fit, pictures.Length > 0 ? PictureFits.Stretch : null)
            .With(PictureFields.GuidanceHigh, golden.HasMetadata("guidance_high") ? Number("guidance_high") : null);
    }

    private static SourcePicture Saved(Golden golden, string name, string path)
    {
        using var bytes = golden[name];
        PictureFile.SavePng(path, (int)bytes.shape[1], (int)bytes.shape[0], bytes.bytes.ToArray());
        return SourcePicture.Open(path);
    }

    // What the conditioner of pictures adds to the golden's prompts.
    private static GuidedConditioning Conditioned(Golden golden, GenerationRequest request, VideoModel model)
    {
        var draft = new ConditioningDraft(request);
        draft.Conditioning.Prompt.Add(Conditioning.Text, golden["context"].unsqueeze(0));
        draft.Conditioning.Negative!.Add(Conditioning.Text, golden["negative"].unsqueeze(0));
        // In tiles, as where memory is short: the goldens' latents all the same.
        var way = new VaeChoice(new VaeTiling(32, 32, 1), 1);
        var plan = MemoryPlanner.Plan(new MemoryNeeds { VaeWeights = 1, Vae = [way], Pictures = [way] }, new MemoryBudget(1000, 1000), keepLoaded: false)!;
        new PictureConditioner(model).AddTo([draft], ModuleOptions.Cpu, plan, new StageClock(null), CancellationToken.None);
        return draft.Conditioning;
    }

    private static Tensor Sample(
        Golden golden, GenerationRequest request, VideoModel model, GuidedConditioning conditioning, bool batch = false, bool keepsExperts = false)
    {
        var transformer = model.LoadTransformer(ModuleOptions.Cpu);
        if (transformer is IExpertTransformer experts)
        {
            experts.KeepsExperts = keepsExperts;
        }

        using var sampler = new LatentSampler(transformer);
        return sampler.Sample(request.Sampling, golden["noise"], conditioning, batchGuidance: batch);
    }

    private static void AssertFrames(VideoModel model, Tensor latents, Tensor expected)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var vae = model.LoadVae(ModuleOptions.Cpu);
        var chunks = new List<Tensor>();
        vae.Decode(latents.unsqueeze(0), chunk => chunks.Add(chunk.clamp(-1, 1).DetachFromDisposeScope()));
        var frames = cat(chunks, 2).squeeze(0);
        chunks.ForEach(chunk => chunk.Dispose());
        Assert.Equal(expected.shape, frames.shape);
        Assert.InRange((frames - expected.to_type(ScalarType.Float32)).abs().mean().item<float>(), 0, 2e-3);
    }

    /// <summary>What the pictures of a golden become, once for all attentions: none of it knows them.</summary>
    public sealed class Encoded : IDisposable
    {
        private readonly TempFolder _folder = new();
        private readonly Dictionary<string, (WanVideoModel Model, GuidedConditioning Conditioning)> _known = [];

        internal (WanVideoModel Model, GuidedConditioning Conditioning) Of(string file, string transformer, string autoencoder)
        {
            if (!_known.TryGetValue(file, out var known))
            {
                using var pictures = new TempFolder();
                using var golden = Golden.Open(file);
                using var scope = NewDisposeScope();
                var model = Model(_folder, transformer, autoencoder, "family/clip", file);
                known = (model, Conditioned(golden, Request(golden, pictures, "dense"), model));
                _known.Add(file, known);
            }

            return known;
        }

        public void Dispose()
        {
            foreach (var (_, conditioning) in _known.Values)
            {
                conditioning.Dispose();
            }

            _folder.Dispose();
        }
    }
}
