namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>A prompt as umT5 reads it: ids padded to a fixed length, and how many of them count.</summary>
/// <param name="Ids">Token ids, [maxLength]: the text's, then the end of sequence (1), then padding (0).</param>
/// <param name="Length">The true length, with the end of sequence: 1 to <c>Ids.Length</c>.</param>
public sealed record TokenizedText(int[] Ids, int Length)
{
    /// <summary>The attention mask, [maxLength]: 1 for the first <see cref="Length"/> ids, 0 for padding.</summary>
    public int[] ToMask()
    {
        var mask = new int[Ids.Length];
        mask.AsSpan(0, Length).Fill(1);
        return mask;
    }
}
