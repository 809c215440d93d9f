using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;

namespace NablaGen.Tests.Models;

/// <summary>Models whose sizes are asked for and whose weights are not.</summary>
internal static class NoWeights
{
    public static WanVideoModel Of(DitConfig dit) =>
        WanVideoModel.InMemory(dit, new NablaGenJson(), tokenizer: null, (part, _) => throw new InvalidOperationException($"the weights of the {part} are not there"));
}
