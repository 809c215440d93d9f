namespace NablaGen.Training.World;

/// <summary>The text that the tokenizer is trained on: captions, a line each.</summary>
public static class TokenizerCorpus
{
    /// <summary>Writes captions of the training world, one a line.</summary>
    /// <param name="writer">Where they go.</param>
    /// <param name="count">How many.</param>
    /// <param name="seed">The world's seed.</param>
    public static void WriteCorpus(TextWriter writer, int count, ulong seed = 0)
    {
        ArgumentNullException.ThrowIfNull(writer);
        using var world = new ShapeWorld(WorldSplit.Training, seed);
        for (int i = 0; i < count; i++)
        {
            // Not the platform's line ending: the same text everywhere.
            writer.Write(world.CaptionAt(i));
            writer.Write('\n');
        }
    }
}
