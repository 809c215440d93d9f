using System.Globalization;
using NablaGen.Models.Wan.Vae;
using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts.Keys;

/// <summary>
/// The names of Wan2.1's VAE in the Diffusers library (AutoencoderKLWan). Its encoder's levels are one flat list as Wan's; its decoder's nest,
/// each with one residual block more than the encoder's and, but for the last, an up-sampler behind them. Wan2.2's levels nest on both sides in
/// both programs: what resamples is the last of its level there, and has a name of its own here.
/// </summary>
internal static class DiffusersVaeKeys
{
    private static readonly KeyTable Table = new(
        ("encoder.conv_in", "encoder.conv1"),
        ("encoder.down_blocks.N", "encoder.downsamples.N"),
        ("encoder.mid_block.resnets.0", "encoder.middle.0"),
        ("encoder.mid_block.attentions.0", "encoder.middle.1"),
        ("encoder.mid_block.resnets.1", "encoder.middle.2"),
        ("encoder.norm_out", "encoder.head.0"),
        ("encoder.conv_out", "encoder.head.2"),
        ("quant_conv", "conv1"),
        ("post_quant_conv", "conv2"),
        ("decoder.conv_in", "decoder.conv1"),
        ("decoder.mid_block.resnets.0", "decoder.middle.0"),
        ("decoder.mid_block.attentions.0", "decoder.middle.1"),
        ("decoder.mid_block.resnets.1", "decoder.middle.2"),
        ("decoder.up_blocks.N", "decoder.upsamples.N"),
        ("encoder.downsamples.N.downsamples.N", "encoder.downsamples.N.downsamples.N"),
        ("decoder.upsamples.N.upsamples.N", "decoder.upsamples.N.upsamples.N"),
        ("decoder.norm_out", "decoder.head.0"),
        ("decoder.conv_out", "decoder.head.2"));

    // The parts of a residual block; what attention and resampling have is called the same.
    private static readonly Dictionary<string, string> Parts = new(StringComparer.Ordinal)
    {
        ["norm1"] = "residual.0",
        ["conv1"] = "residual.2",
        ["norm2"] = "residual.3",
        ["conv2"] = "residual.6",
        ["conv_shortcut"] = "shortcut",
    };

    /// <summary>Wan's own names; a key that no row has keeps its own, for the check to complain about.</summary>
    public static Func<string, string?> Names(IReadOnlySet<string> keys)
    {
        var blocks = Blocks(keys, "decoder.up_blocks.0.resnets.");
        return key =>
        {
            var parts = key.Split('.');
            if (parts is [var side, "down_blocks" or "up_blocks", var number, "resnets" or "downsampler" or "upsampler", ..] && IsNested(keys))
            {
                var list = parts[1] == "down_blocks" ? "downsamples" : "upsamples";
                parts = parts[3] == "resnets"
                    ? [side, list, number, list, .. parts[4..]]
                    : [side, list, number, list, $"{Blocks(keys, $"{side}.{parts[1]}.{number}.resnets.")}", .. parts[4..]];
            }
            else if (parts is ["decoder", "up_blocks", var level, "resnets" or "upsamplers", var block, ..]
                && int.TryParse(level, NumberStyles.None, CultureInfo.InvariantCulture, out var i)
                && int.TryParse(block, NumberStyles.None, CultureInfo.InvariantCulture, out var j) && i < 100 && j < 100)
            {
                var place = i * (blocks + 1) + (parts[3] == "upsamplers" ? blocks : j);
                parts = ["decoder", "up_blocks", $"{place}", .. parts[5..]];
            }

            // Inside a level, and inside the middle's blocks.
            var inside = Array.FindIndex(parts, 2, Math.Max(0, parts.Length - 2), Parts.ContainsKey);
            if (inside >= 0)
            {
                parts[inside] = Parts[parts[inside]];
            }

            return Table.Translate(string.Join('.', parts)) ?? key;
        };
    }

    /// <summary>The library's names of a VAE's tensors.</summary>
    /// <param name="config">The VAE's sizes.</param>
    public static Func<string, string> Outwards(VaeConfig config)
    {
        var inverse = Table.Inverse;
        var backwards = Parts.ToDictionary(pair => pair.Value, pair => pair.Key, StringComparer.Ordinal);
        return key =>
        {
            var name = string.Join('.', Renamed(key.Split('.'), backwards));
            var parts = name.Split('.');
            if (config.HasLevelShortcuts && parts is [var side, "downsamples" or "upsamples", var number, "downsamples" or "upsamples", var place, ..])
            {
                var (list, last) = parts[1] == "downsamples" ? ("down_blocks", config.NumResBlocks) : ("up_blocks", config.NumResBlocks + 1);
                var isLast = int.Parse(place, CultureInfo.InvariantCulture) == last;
                return string.Join('.', [side, list, number, .. isLast ? [list == "down_blocks" ? "downsampler" : "upsampler"] : new[] { "resnets", place }, .. parts[5..]]);
            }

            if (parts is ["decoder", "upsamples", var flat, ..])
            {
                var level = config.NumResBlocks + 2;
                var at = int.Parse(flat, CultureInfo.InvariantCulture);
                return string.Join('.', ["decoder", "up_blocks", $"{at / level}", .. at % level == level - 1 ? ["upsamplers", "0"] : new[] { "resnets", $"{at % level}" }, .. parts[3..]]);
            }

            return inverse.Translate(name) ?? name;
        };
    }

    // residual.2 → conv1, shortcut → conv_shortcut.
    private static string[] Renamed(string[] parts, Dictionary<string, string> backwards)
    {
        var at = Array.FindIndex(parts, part => part is "residual" or "shortcut");
        return at < 0 ? parts
            : parts[at] == "shortcut" ? [.. parts[..at], backwards["shortcut"], .. parts[(at + 1)..]]
            : [.. parts[..at], backwards[$"residual.{parts[at + 1]}"], .. parts[(at + 2)..]];
    }

    private static bool IsNested(IReadOnlySet<string> keys) => keys.Contains("encoder.down_blocks.0.resnets.0.conv1.weight");

    private static int Blocks(IReadOnlySet<string> keys, string prefix) => Enumerable.Range(0, 100).TakeWhile(block => keys.Contains($"{prefix}{block}.conv1.weight")).Count();
}
