using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights;

public sealed class SourceViewTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void A_renamed_source_reads_by_the_new_names_and_leaves_out_what_has_none()
    {
        using var scope = NewDisposeScope();
        using var view = SourceView.Renamed(Save("a", ("old.weight", arange(6).reshape(2, 3).to(ScalarType.Float32)), ("other", ones(4))),
            key => key == "old.weight" ? "weight" : null);
        Assert.Equal(["weight"], view.Entries.Keys);
        Assert.Equal([2L, 3], view.Entries["weight"].Shape);
        Assert.Equal("weight", view.Entries["weight"].Name);
        Assert.Equal(5, view.Read("weight")[1, 2].item<float>());
        var target = zeros(2, 3, dtype: ScalarType.Float64);
        view.CopyTo("weight", target);
        Assert.Equal(5, target[1, 2].item<double>());
        Assert.Contains("\"other\"", Assert.Throws<NablaGenException>(() => view.Read("other")).Message);
    }

    [Fact]
    public void Two_keys_with_one_new_name_are_refused()
    {
        using var source = Save("a", ("x.a", ones(1)), ("y.a", ones(1)));
        var message = Assert.Throws<NablaGenException>(() => SourceView.Renamed(source, key => key[2..])).Message;
        Assert.Contains("\"x.a\"", message);
        Assert.Contains("\"y.a\"", message);
    }

    [Fact]
    public void A_prefix_is_left_out()
    {
        using var scope = NewDisposeScope();
        using var source = Save("a", ("blocks.1.w", ones(1)), ("blocks.10.w", zeros(1)), ("blocks.1.b", zeros(1)));
        using var view = source.Under("blocks.1.");
        Assert.Equal(["b", "w"], view.Entries.Keys.Order());
        Assert.Equal(1, view.Read("w").item<float>());
        view.Dispose();
        Assert.Equal(1, source.Read("blocks.1.w").item<float>());
    }

    [Fact]
    public void Merged_sources_are_one_and_share_no_key()
    {
        using var scope = NewDisposeScope();
        using var merged = new MergedSource(Save("a", ("x", ones(1))), Save("b", ("y", zeros(1))));
        Assert.Equal((1, 0), (merged.Read("x").item<float>(), merged.Read("y").item<float>()));
        Assert.Equal([_folder["a.safetensors"], _folder["b.safetensors"]], merged.Files);
        Assert.Equal(_folder["b.safetensors"], merged.FileOf("y"));
        using var again = Save("c", ("y", ones(1)));
        Assert.Contains("\"y\"", Assert.Throws<NablaGenException>(() => new MergedSource(merged, again)).Message);
    }

    public void Dispose() => _folder.Dispose();

    private SafetensorsFile Save(string name, params (string Key, Tensor Value)[] tensors)
    {
        SafetensorsWriter.Write(_folder[$"{name}.safetensors"], tensors.Select(pair => KeyValuePair.Create(pair.Key, pair.Value)));
        return SafetensorsFile.Open(_folder[$"{name}.safetensors"]);
    }
}
