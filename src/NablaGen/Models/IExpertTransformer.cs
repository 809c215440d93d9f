namespace NablaGen.Models;

/// <summary>A transformer that consists of several, of which one works at a time, by the noise in the latents.</summary>
public interface IExpertTransformer : IVideoTransformer
{
    /// <summary>Whether one that has done its part stays in memory; otherwise it is freed before the next one is read.</summary>
    bool KeepsExperts { get; set; }
}
