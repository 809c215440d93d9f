using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights.Lora;

/// <summary>One LoRA of random factors, and how each program would write it.</summary>
internal sealed class LoraWriter
{
    public const int Rank = 4;

    // Wan's name → diffusers', written down apart from the code under test (facts sheet §3).
    private static readonly (string Wan, string Diffusers)[] Modules =
    [
        ("blocks.0.self_attn.q", "blocks.0.attn1.to_q"),
        ("blocks.0.self_attn.o", "blocks.0.attn1.to_out.0"),
        ("blocks.1.cross_attn.k", "blocks.1.attn2.to_k"),
        ("blocks.1.cross_attn.o", "blocks.1.attn2.to_out.0"),
        ("blocks.0.ffn.0", "blocks.0.ffn.net.0.proj"),
        ("blocks.1.ffn.2", "blocks.1.ffn.net.2"),
        ("time_projection.1", "condition_embedder.time_proj"),
        ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
        ("head.head", "proj_out"),
        ("patch_embedding", "patch_embedding"),
    ];

    private readonly List<(string Wan, string Diffusers, Tensor Down, Tensor Up)> _factors;

    /// <summary>Random factors for some modules of a model.</summary>
    public LoraWriter(ITensorSource model, long seed)
    {
        using var generator = new Generator();
        generator.manual_seed(seed);
        _factors = [.. Modules.Select(module =>
        {
            var shape = model.Entries[module.Wan + ".weight"].Shape;
            var inner = shape.Skip(1).ToArray();
            return (module.Wan, module.Diffusers, randn([Rank, .. inner], generator: generator) * 0.1f, randn([shape[0], Rank, .. inner.Skip(1).Select(_ => 1L)], generator: generator));
        })];
    }

    public IEnumerable<string> Changed => _factors.Select(factor => factor.Wan + ".weight");

    /// <summary>W + strength · B A in float32.</summary>
    public Tensor Merged(ITensorSource model, string tensor, double strength = 1)
    {
        var (_, _, down, up) = _factors.Single(factor => factor.Wan + ".weight" == tensor);
        var weight = model.Read(tensor).to(ScalarType.Float32);
        return weight + (up.flatten(1).mm(down.flatten(1)) * (float)strength).reshape(weight.shape);
    }

    /// <summary>Writes the file of a dialect.</summary>
    public void Write(string path, string dialect)
    {
        IEnumerable<KeyValuePair<string, Tensor>> Factors(Func<(string Wan, string Diffusers), string> name, string down, string up, double alpha = 0)
        {
            foreach (var (wan, diffusers, a, b) in _factors)
            {
                var key = name((wan, diffusers));
                yield return KeyValuePair.Create(key + down, a);
                // Half of B and twice the rank as alpha is the same product, to the bit.
                yield return KeyValuePair.Create(key + up, alpha == 0 ? b : b * (float)(Rank / alpha));
                if (alpha != 0)
                {
                    yield return KeyValuePair.Create(key + ".alpha", tensor((float)alpha));
                }
            }
        }

        static string Flat(string name) => name.Replace('.', '_');

        const string A = ".lora_A.weight", B = ".lora_B.weight", Down = ".lora_down.weight", Up = ".lora_up.weight";
        var metadata = new Dictionary<string, string>();
        var tensors = dialect switch
        {
            "comfy" => Factors(name => "diffusion_model." + name.Wan, A, B),
            "comfy down/up" => Factors(name => "diffusion_model." + name.Wan, Down, Up, alpha: 8),
            "full checkpoint" => Factors(name => "model.diffusion_model." + name.Wan, A, B),
            "bare" => Factors(name => name.Wan, A, B),
            "default" => Factors(name => name.Wan, ".lora_A.default.weight", ".lora_B.default.weight"),
            "peft" => Factors(name => "base_model.model." + name.Wan, A, B),
            "pipe" => Factors(name => "pipe.dit." + name.Wan, A, B),
            "diffusers" => Factors(name => "transformer." + name.Diffusers, A, B),
            "diffusers old" => Factors(name => "transformer." + name.Diffusers, ".lora.down.weight", ".lora.up.weight"),
            "kohya" => Factors(name => "lora_unet_" + Flat(name.Wan), Down, Up, alpha: 8),
            "videox-fun" => Factors(name => "lora_unet__" + Flat(name.Wan), Down, Up, alpha: 2),
            "lycoris" => Factors(name => "lycoris_" + Flat(name.Diffusers), Down, Up, alpha: 4),
            "broken mix" => Factors(name => "lora_unet_" + name.Wan.Replace("blocks.", "blocks_"), Down, Up),
            "differences" => _factors.Select(factor => KeyValuePair.Create(
                $"diffusion_model.{factor.Wan}.diff", factor.Up.flatten(1).mm(factor.Down.flatten(1)).reshape([factor.Up.shape[0], .. factor.Down.shape.Skip(1)]))),
            "diffusers note" => Note(),
            _ => throw new ArgumentException(dialect),
        };
        SafetensorsWriter.Write(path, tensors, metadata);

        IEnumerable<KeyValuePair<string, Tensor>> Note()
        {
            metadata["lora_adapter_metadata"] = """{"transformer.r": 4, "transformer.lora_alpha": 8, "transformer.use_rslora": false}""";
            return Factors(name => "transformer." + name.Diffusers, A, B, alpha: 8).Where(pair => !pair.Key.EndsWith(".alpha"));
        }
    }

    /// <summary>Every dialect that <see cref="Write"/> knows.</summary>
    public static string[] Dialects =>
    [
        "comfy", "comfy down/up", "full checkpoint", "bare", "default", "peft", "pipe", "diffusers", "diffusers old", "kohya", "videox-fun", "lycoris",
        "broken mix", "differences", "diffusers note",
    ];
}
