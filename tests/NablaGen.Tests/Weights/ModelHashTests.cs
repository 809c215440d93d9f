using NablaGen.Weights;

namespace NablaGen.Tests.Weights;

public sealed class ModelHashTests : IDisposable
{
    private readonly RawFile _raw = new();

    [Fact]
    public void It_is_of_names_and_contents_not_of_folders_or_order()
    {
        var a = _raw.Write("x/a", "one");
        var b = _raw.Write("x/b", "two");
        var hash = ModelHash.Compute([a, b]);
        Assert.Matches("^[0-9a-f]{16}$", hash);
        Assert.Equal(hash, ModelHash.Compute([b, a]));
        Assert.Equal(hash, ModelHash.Compute([_raw.Write("y/a", "one"), _raw.Write("z/b", "two")]));
        Assert.NotEqual(hash, ModelHash.Compute([a]));
        Assert.NotEqual(hash, ModelHash.Compute([a, _raw.Write("y/b", "twO")]));
        Assert.NotEqual(hash, ModelHash.Compute([a, _raw.Write("y/c", "two")]));
    }

    // So that recipes written by one version are understood by the next.
    [Fact]
    public void It_does_not_change_with_versions() => Assert.Equal("a22e82be59ca98c3", ModelHash.Compute([_raw.Write("weights", "0123456789")]));

    [Fact]
    public void Of_a_large_file_head_end_and_length_count()
    {
        var path = _raw.At("large");
        var hash = Hash(80L << 20, -1);
        Assert.NotEqual(hash, Hash((80L << 20) + 1, -1));
        Assert.NotEqual(hash, Hash(80L << 20, 100_000));
        Assert.NotEqual(hash, Hash(80L << 20, (80L << 20) - 1));
        Assert.Equal(hash, Hash(80L << 20, -1));

        string Hash(long length, long change)
        {
            using (var file = File.Create(path))
            {
                file.SetLength(length);
                if (change >= 0)
                {
                    file.Position = change;
                    file.WriteByte(1);
                }
            }

            return ModelHash.Compute([path]);
        }
    }

    public void Dispose() => _raw.Dispose();
}
