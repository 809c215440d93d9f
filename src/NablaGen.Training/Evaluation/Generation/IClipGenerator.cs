using NablaGen.Generation;

namespace NablaGen.Training.Evaluation.Generation;

/// <summary>Makes the videos that are measured: a model, or in tests something whose truth is known.</summary>
public interface IClipGenerator
{
    /// <summary>Everything that makes a request's video what it is.</summary>
    Recipe RecipeOf(GenerationRequest request);

    /// <summary>Gets ready for requests: encodes their prompts.</summary>
    /// <param name="requests">Every prompt at least once.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="NablaGenException">The model or a request is wrong.</exception>
    void Prepare(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation);

    /// <summary>Makes videos at once.</summary>
    /// <param name="requests">Requests that differ in their prompts and seeds alone, at least one.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <returns>A video for each.</returns>
    /// <exception cref="NablaGenException">It cannot be done; the line says why.</exception>
    IReadOnlyList<GeneratedClip> Generate(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation);
}
