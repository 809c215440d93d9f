namespace NablaGen.Models.Wan.Text.Tokenizer;

/// <summary>
/// Cuts a word into the pieces whose scores add up to the most (Viterbi). Port of <c>Unigram::encode_optimized</c>, Hugging
/// Face tokenizers, models/unigram/model.rs: scores add in float64, the first of equals wins, pieces of every type match.
/// </summary>
internal sealed class UnigramSegmenter
{
    private const double UnknownPenalty = 10;

    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _ids;
    private readonly double[] _scores;
    private readonly double _unknownScore;
    private readonly int _unknownId;
    private readonly int _longestPiece;

    /// <summary>A segmenter for a vocabulary, its ids the places in the list.</summary>
    public UnigramSegmenter(IReadOnlyList<SentencePiece> pieces, int unknownId)
    {
        var ids = new Dictionary<string, int>(pieces.Count);
        _scores = new double[pieces.Count];
        for (int id = 0; id < pieces.Count; id++)
        {
            ids[pieces[id].Text] = id;
            _scores[id] = pieces[id].Score;
            _longestPiece = Math.Max(_longestPiece, pieces[id].Text.Length);
        }

        _ids = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        _unknownId = unknownId;
        _unknownScore = _scores.Min() - UnknownPenalty;
    }

    /// <summary>Adds a word's ids to a list; a run of characters that the vocabulary lacks gives one unknown id.</summary>
    public void Segment(ReadOnlySpan<char> word, List<int> ids)
    {
        // The best way to each position: its score, the id of its last piece and where that piece starts.
        var best = new (double Score, int Id, int Start)[word.Length + 1];
        best.AsSpan(1).Fill((double.NegativeInfinity, _unknownId, -1));

        for (int start = 0, width; start < word.Length; start += width)
        {
            width = start + 1 < word.Length && char.IsSurrogatePair(word[start], word[start + 1]) ? 2 : 1;
            bool known = false;
            int longest = Math.Min(_longestPiece, word.Length - start);
            for (int length = 1; length <= longest; length++)
            {
                if (_ids.TryGetValue(word.Slice(start, length), out int id))
                {
                    known |= length == width;
                    Offer(start, length, id, _scores[id]);
                }
            }

            if (!known)
            {
                Offer(start, width, _unknownId, _unknownScore);
            }
        }

        int first = ids.Count;
        for (int end = word.Length; end > 0; end = best[end].Start)
        {
            bool sameRun = best[end].Id == _unknownId && ids.Count > first && ids[^1] == _unknownId;
            if (!sameRun)
            {
                ids.Add(best[end].Id);
            }
        }

        ids.Reverse(first, ids.Count - first);

        void Offer(int start, int length, int id, double score)
        {
            double total = best[start].Score + score;
            if (total > best[start + length].Score)
            {
                best[start + length] = (total, id, start);
            }
        }
    }
}
