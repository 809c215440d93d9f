using System.Diagnostics;
using NablaGen.Models.Wan;
using NablaGen.Weights;
using NablaGen.Weights.Lora;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights.Lora;

/// <summary>LoRA files as a stranger may send them: each is merged, or refused in one line, with little memory.</summary>
public sealed class LoraFuzzTests : IDisposable
{
    // With 200 of peft's settings, 3,000 GGUF, 3,400 .pth and 1,300 index files 10,000 in all.
    private const int Rounds = 2100;

    private readonly TempFolder _folder = new();

    [Fact]
    public void A_damaged_file_is_merged_or_refused_in_one_line()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        var model = golden.Source.Under("weights.");
        var names = WanLoraNames.Of(model);
        SafetensorsWriter.Write(_folder["whole"], new Dictionary<string, Tensor>
        {
            ["diffusion_model.blocks.0.self_attn.q.lora_A.weight"] = randn(4, 256),
            ["diffusion_model.blocks.0.self_attn.q.lora_B.weight"] = randn(256, 4),
            ["diffusion_model.blocks.0.self_attn.q.alpha"] = tensor(4f),
            ["lora_unet_blocks_1_norm3.diff"] = randn(256),
            ["transformer.blocks.1.scale_shift_table.diff"] = randn(6, 256),
            ["img_emb.proj.0.diff_b"] = randn(8),
        }, new Dictionary<string, string> { ["lora_adapter_metadata"] = """{"transformer.lora_alpha": 4, "transformer.alpha_pattern": {"self_attn.q": 2}}""" });
        var whole = File.ReadAllBytes(_folder["whole"]);
        var header = 8 + (int)BitConverter.ToInt64(whole);
        var random = new Random(7);
        var (merged, refused) = (0, 0);
        var watch = Stopwatch.StartNew();
        for (var round = 0; round < Rounds; round++)
        {
            var bytes = (byte[])whole.Clone();
            for (var change = random.Next(1, 4); change > 0; change--)
            {
                // Digits and letters of the header are what a reader believes.
                bytes[random.Next(header)] = random.Next(3) switch { 0 => (byte)random.Next(256), 1 => (byte)('0' + random.Next(10)), _ => (byte)"[],:\"{}._ab"[random.Next(11)] };
            }

            File.WriteAllBytes(_folder["lora.safetensors"], random.Next(10) == 0 ? bytes[..random.Next(bytes.Length)] : bytes);
            try
            {
                // Opened by the model's own hand as far as the weights; the view does not own the golden.
                using var source = LoraSource.Over(model, [new LoraChoice(_folder["lora.safetensors"])], names);
                // Merging is the dear part; what it does depends on the header alone.
                foreach (var key in round % 5 == 0 ? source.Changed : [])
                {
                    source.Read(key).Dispose();
                }

                merged++;
            }
            catch (NablaGenException error)
            {
                Assert.DoesNotContain('\n', error.Message);
                refused++;
            }
        }

        Assert.InRange(merged, 1, Rounds);
        Assert.InRange(refused, Rounds / 2, Rounds);
        Assert.True(watch.Elapsed < TimeSpan.FromMinutes(1));
    }

    [Fact]
    public void Damaged_settings_of_pefts_are_followed_or_refused_in_one_line()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        var model = golden.Source.Under("weights.");
        var names = WanLoraNames.Of(model);
        Directory.CreateDirectory(_folder["peft"]);
        SafetensorsWriter.Write(_folder["peft/adapter_model.safetensors"], new Dictionary<string, Tensor>
        {
            ["blocks.0.self_attn.q.lora_A.weight"] = randn(4, 256),
            ["blocks.0.self_attn.q.lora_B.weight"] = randn(256, 4),
        });
        var whole = """{"peft_type": "LORA", "lora_alpha": 6, "r": 4, "use_rslora": true, "use_dora": false, "alpha_pattern": {"blocks.*q": 2, "(a+)+$": 3}}"""u8.ToArray();
        var random = new Random(8);
        var refused = 0;
        for (var round = 0; round < 200; round++)
        {
            var bytes = (byte[])whole.Clone();
            bytes[random.Next(bytes.Length)] = (byte)random.Next(32, 127);
            bytes[random.Next(bytes.Length)] = (byte)random.Next(32, 127);
            File.WriteAllBytes(_folder["peft/adapter_config.json"], bytes);
            try
            {
                using var source = LoraSource.Over(model, [new LoraChoice(_folder["peft"])], names);
                Assert.Single(source.Changed);
            }
            catch (NablaGenException error)
            {
                Assert.DoesNotContain('\n', error.Message);
                refused++;
            }
        }

        Assert.InRange(refused, 20, 199);
    }

    public void Dispose() => _folder.Dispose();
}
