using NablaGen.Models.Wan.Layouts;
using NablaGen.Weights.Lora;

namespace NablaGen.Models.Wan;

/// <content>LoRAs in the transformer or in one of two experts.</content>
public sealed partial class WanVideoModel
{
    /// <inheritdoc/>
    public override VideoModel WithLoras(IReadOnlyList<LoraChoice> loras)
    {
        if (_files.HighNoise is null && loras.FirstOrDefault(lora => lora.Expert != LoraExpert.All) is { } useless)
        {
            throw new NablaGenException($"{useless}: {Name} has one transformer, not two experts: name the LoRA without \"{LoraChoice.NameOf(useless.Expert)}:\".");
        }

        return loras.Count == 0 ? this : new WanVideoModel(this, _files with
        {
            Transformer = Merged(_files.Transformer, [.. loras.Where(lora => lora.Expert != LoraExpert.High)]),
            HighNoise = _files.HighNoise is { } high ? Merged(high, [.. loras.Where(lora => lora.Expert != LoraExpert.Low)]) : null,
        });

        static WeightFile Merged(WeightFile file, IReadOnlyList<LoraChoice> own) => own.Count == 0 ? file : file with
        {
            Open = () =>
            {
                var source = file.Open();
                return LoraSource.Over(source, own, WanLoraNames.Of(source));
            },
        };
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> CheckLoras(IReadOnlyList<LoraChoice> loras)
    {
        var notes = new List<string>();
        foreach (var transformer in ((WanVideoModel)WithLoras(loras)).Transformers)
        {
            using var source = transformer.Open();
            notes.AddRange(source is LoraSource merged ? merged.Notes : []);
        }

        return [.. notes.Distinct()];
    }
}
