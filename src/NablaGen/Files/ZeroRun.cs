namespace NablaGen.Files;

/// <summary>
/// Finds stretches of zeros in files of weights. A download that reserves its space before it has the data has the right length and, being
/// cut off, zeros where data are missing; trained weights have no such stretch.
/// </summary>
internal static class ZeroRun
{
    // As many as ModelHash reads of a large file: whole files take minutes.
    private const int Samples = 64;
    private const int SampleBytes = 4096;

    // Longer than the padding rows of a vocabulary (umT5's 84 are 0.7 MB); in small files than a layer that training has not changed yet.
    private const int MostLeast = 1 << 20, LeastLeast = 1 << 18;

    /// <summary>Looks for holes anywhere in each file, and at 64 places at equal distances and its end.</summary>
    /// <param name="files">The files.</param>
    /// <exception cref="NablaGenException">One of them has a megabyte (a small one an eighth, from 256 KiB) without data, or of zeros around such a place.</exception>
    public static void Check(IEnumerable<string> files)
    {
        var sample = new byte[SampleBytes];
        foreach (var path in files)
        {
            using var file = MappedFile.Open(path);
            var least = Math.Clamp(file.Length / 8, LeastLeast, MostLeast);
            if (FileHoles.Find(file.Handle, file.Length, least) is { } hole)
            {
                throw Fault(path, hole, least);
            }

            for (var i = 0; i <= Samples && file.Length >= least; i++)
            {
                // Divided first, so that no length overflows.
                var at = Math.Min(file.Length / Samples * i, file.Length - SampleBytes);
                file.Read(at, sample);
                if (IsZero(sample) && IsLong(file, at, least))
                {
                    throw Fault(path, at, least);
                }
            }
        }
    }

    private static NablaGenException Fault(string path, long at, long least) => new(
        $"{path}: has {least >> 10} KiB or more of zeros around byte {at}, where weights have numbers: "
            + "a download that took its place on the disk and was not finished; download it again.");

    private static bool IsLong(MappedFile file, long at, long least)
    {
        var window = new byte[2 * least];
        var start = Math.Clamp(at - least, 0, Math.Max(0, file.Length - window.Length));
        var read = window.AsSpan(0, (int)Math.Min(window.Length, file.Length - start));
        file.Read(start, read);
        // From the sample outwards.
        var before = read[..(int)(at - start)];
        var from = before.LastIndexOfAnyExcept((byte)0) + 1;
        var after = read[from..].IndexOfAnyExcept((byte)0);
        return (after < 0 ? read.Length - from : after) >= least;
    }

    private static bool IsZero(ReadOnlySpan<byte> bytes) => bytes.IndexOfAnyExcept((byte)0) < 0;
}
