using NablaGen.Generation.Fields;
using NablaGen.Weights.Lora;

namespace NablaGen.Generation;

/// <content>LoRAs, and what was made for few steps.</content>
public sealed partial class TextToVideo
{
    private readonly Dictionary<LoraList, LoraList> _identified = [];
    private readonly HashSet<string> _said = [];

    private GenerationRequest WithFoundLoras(GenerationRequest request) =>
        request.Loras.Count == 0 ? request : WithLoras(request, request.Loras.FoundNear(Model.Path));

    // Taken out first: the values keep what is equal, and lists of LoRAs are equal wherever the files lie.
    private static GenerationRequest WithLoras(GenerationRequest request, LoraList loras) =>
        request.With(RequestFields.Lora, null).With(RequestFields.Lora, loras);

    // Sees that LoRAs fit, and says once what is left out of them and what they bring along.
    private void CheckLoras(IReadOnlyList<GenerationRequest> requests, StageClock clock)
    {
        foreach (var loras in requests.Select(request => request.Loras).Distinct().Where(loras => loras.Count > 0))
        {
            foreach (var note in Model.CheckLoras(loras))
            {
                Say(note, clock);
            }
        }

        foreach (var request in requests)
        {
            if (Defaults.FewStepsOf(request.Loras) is { } lora)
            {
                Say(FewSteps(lora.Lora.Name, lora.Name, lora.Values, request), clock);
            }
            else if (Model.FewSteps is { } recipe)
            {
                var values = Preset.Read(recipe.Name, recipe.Values.Values, recipe.Values.Path!, Defaults.Table).Values.Values;
                Say(FewSteps(Model.Name, recipe.Name, values, request), clock);
            }
        }
    }

    private void Say(string note, StageClock clock)
    {
        if (_said.Add(note))
        {
            clock.Note(note);
        }
    }

    private static string FewSteps(string file, string name, FieldValues values, GenerationRequest request)
    {
        var used = values.InOrder().Where(pair => FieldValues.AreEqual(pair.Value, request.Values.Find(pair.Field)))
            .Select(pair => $"{pair.Field.Label} {pair.Field.Format(pair.Value)}").ToArray();
        return $"{file} is made for few steps ({name}): {(used.Length == 0 ? "none of its settings is used" : string.Join(", ", used))}; options override";
    }

    // The files are read for their SHA-256 once.
    private LoraList Identified(LoraList loras, CancellationToken cancellation)
    {
        if (!_identified.TryGetValue(loras, out var identified))
        {
            _identified.Add(loras, identified = loras.Identified(cancellation));
        }

        return identified;
    }
}
