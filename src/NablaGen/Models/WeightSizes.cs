namespace NablaGen.Models;

/// <summary>Bytes of a model's weights in memory.</summary>
/// <param name="TextEncoder">All of the text encoder.</param>
/// <param name="Transformer">The transformer outside its layers.</param>
/// <param name="Layer">One layer of the transformer.</param>
/// <param name="Vae">All of the VAE.</param>
public sealed record WeightSizes(long TextEncoder, long Transformer, long Layer, long Vae);
