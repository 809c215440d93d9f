namespace NablaGen.Models.FewSteps;

/// <summary>How a checkpoint or a LoRA that was made for few steps is to be sampled.</summary>
/// <param name="Name">What it is, for messages.</param>
/// <param name="Values">Steps or timesteps, shift, guidance, solver: names and values of a request's fields.</param>
public sealed record FewStepRecipe(string Name, ModelDefaults Values);
