using NablaGen.Jobs.Benchmarks;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Tests.Training;
using NablaGen.Training.Models;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Calibration;

/// <summary>A small model folder of drawn weights whose heads differ as a trained model's do: some look everywhere, some at few places.</summary>
internal static class UnevenModel
{
    public static ModelSizes Small { get; } = new(
        new DitConfig { Dim = 128, NumHeads = 4, NumLayers = 3, FfnDim = 128, TextLen = 32, TextDim = 32, InDim = 4, OutDim = 4, FreqDim = 64 },
        new NablaGenJson
        {
            Name = "uneven",
            TextEncoder = new TextEncoderConfig { Vocab = 1, Dim = 32, DimAttn = 32, DimFfn = 64, NumHeads = 1, NumLayers = 1 },
            Vae = new VaeConfig { Dim = 8, ZDim = 4, NumResBlocks = 1, DimMult = [1, 2, 2, 2], LatentsMean = new float[4], LatentsStd = [1, 1, 1, 1] },
            Defaults = WanDefaults.Values.With(
                ("width", 256), ("height", 256), ("frames", 9), ("fps", 8), ("steps", 6), ("shift", 3), ("guidance", 2), ("negative_prompt", "")),
        });

    public static void Assemble(string path, ModelSizes sizes)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(11);
        Directory.CreateDirectory(path);
        ModelFiles.PlaceTokenizer(path, Toys.BoxTokenizer);
        sizes = sizes.WithVocabulary(UmT5Tokenizer.Load(ModelFiles.Tokenizer(path)).VocabularySize);
        sizes.Save(path);

        using var dit = new WanModel(sizes.Dit, ModuleOptions.Cpu);
        RandomWeights.Fill(dit, generator);
        foreach (var (name, parameter) in dit.named_parameters())
        {
            if (name.EndsWith("self_attn.norm_q.weight", StringComparison.Ordinal))
            {
                // The larger its queries, the fewer places a head looks at.
                var layer = int.Parse(name.Split('.')[1]);
                for (var head = 0; head < sizes.Dit.NumHeads; head++)
                {
                    parameter.narrow(0, head * sizes.Dit.HeadDim, sizes.Dit.HeadDim).fill_(Sharpness(layer, head));
                }
            }
        }

        ModelFiles.SaveDit(path, dit);
        using var encoder = new T5Encoder(sizes.Others.TextEncoder, ModuleOptions.Cpu);
        RandomWeights.Fill(encoder, generator);
        ModelFiles.SaveTextEncoder(path, encoder);
        using var vae = new WanVae(sizes.Others.Vae, ModuleOptions.Cpu);
        RandomWeights.Fill(vae, generator);
        ModelFiles.SaveVae(path, vae);
    }

    private static double Sharpness(int layer, int head) => 0.5 * Math.Pow(2, (layer + head) % 4);
}
