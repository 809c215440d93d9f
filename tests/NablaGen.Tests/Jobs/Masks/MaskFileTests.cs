using System.Text.Json;
using System.Text.RegularExpressions;
using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Jobs.Masks;
using NablaGen.Video.Pictures;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Masks;

public sealed partial class MaskFileTests(MaskModel model) : IClassFixture<MaskModel>, IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void The_page_has_the_masks_bit_by_bit_and_the_densities()
    {
        var (request, observer, made) = Observe("page");
        var masks = observer.Masks;
        Assert.Null(observer.Failure);
        var video = Still(request);
        MaskFile.Save(_folder["a.html"], masks, model.Model, video, Recipe(request));
        var page = File.ReadAllText(_folder["a.html"]);
        Assert.DoesNotContain("http", Data().Replace(page, ""));
        Assert.Contains("Recorded: 2 of 4 steps", page);
        Assert.DoesNotContain("thinned out", page);
        var data = JsonDocument.Parse(Data().Match(page).Groups[1].Value).RootElement;
        Assert.Equal("[[0,0]]", data.GetProperty("frames").GetRawText());
        Assert.Equal("[[0,128],[128,32]]", data.GetProperty("columns").GetRawText());
        Assert.Equal("[[0,128],[128,16]]", data.GetProperty("rows").GetRawText());
        Assert.Equal("[0,3]", data.GetProperty("steps").GetRawText());
        // Step 0 is dense; layer 1 was not computed in step 3.
        Assert.Equal("[[-2,-2],[0,-1]]", data.GetProperty("places").GetRawText());
        Assert.StartsWith("data:image/jpeg;base64,", data.GetProperty("stills")[0].GetString());
        var bits = data.GetProperty("bits").GetBytesFromBase64();
        Assert.Equal(model.Model.Transformer.Heads * 4, bits.Length);
        for (var place = 0; place < bits.Length * 8; place++)
        {
            var (head, query, key) = (place / 32, place / 8 % 4, place % 8);
            Assert.Equal(key < 4 && made.Row(head, query).Contains(key), (bits[place / 8] >> key & 1) != 0);
        }

        // Of the dense attentions 1, of the one mask what its heads keep; a second pass of a step does not count.
        var densities = Enumerable.Range(0, 4).Select(query => (Enumerable.Range(0, made.Heads).Average(head => made.Row(head, query).Length / 4.0) + 2) / 3);
        Assert.All(densities.Zip(masks.BlockDensity), pair => Assert.Equal(pair.First, pair.Second, 1e-9));
    }

    [Fact]
    public void The_sheet_darkens_what_is_not_looked_at()
    {
        var (request, observer, made) = Observe("sheet");
        MaskFile.Save(_folder["a.png"], observer.Masks, model.Model, Still(request), Recipe(request));
        var sheet = PictureFile.Load(_folder["a.png"]);
        // The heat map, two dense layers, a mask a head: rows of 144 pixels 6 apart, 160 wide at the right edge.
        var rows = 1 + (2 + 1) * made.Heads;
        var (left, top) = (sheet.Width - 16 - 160, sheet.Height - 16 - (rows * 150 - 6));
        for (var head = 0; head < made.Heads; head++)
        {
            for (var key = 0; key < 4; key++)
            {
                // The middle of each block; the block that looks, the last, has a white edge and the same middle.
                var (x, y) = (key % 2 == 0 ? 64 : 144, key / 2 == 0 ? 64 : 136);
                var red = sheet.Rgb24[((top + (rows - made.Heads + head) * 150 + y) * sheet.Width + left + x) * 3];
                Assert.InRange(red, made.Row(head, 3).Contains(key) ? 195 : 50, made.Row(head, 3).Contains(key) ? 205 : 65);
            }
        }

        // The heat map's colour is over the frame's, 55 to 45.
        var (least, most) = MaskSheet.Range(observer.Masks.BlockDensity);
        Assert.True(least <= observer.Masks.BlockDensity.Min() && observer.Masks.BlockDensity.Max() <= most);
        var heat = MaskSheet.ColourOf((observer.Masks.BlockDensity[0] - least) / (most - least)).R * 0.55 + 200 * 0.45;
        Assert.InRange(sheet.Rgb24[((top + 64) * sheet.Width + left + 64) * 3], heat - 2, heat + 2);
    }

    [Fact]
    public void Looking_changes_nothing()
    {
        using var scope = NewDisposeScope();
        var request = GoldenSampling.Request("nabla-0.5") with { Steps = 2 };
        var plan = MaskPlan.Of(new MaskChoice(), request, model.Model, MaskPlan.MostOnPage);
        var (observer, recorder) = (new MaskObserver(plan, model.Model.Transformer.Heads), new Recorder());
        var with = GoldenSampling.Run(request, new SamplingObservers(observer, recorder));
        Assert.True(with.eq(GoldenSampling.Run(request, null)).all().item<bool>());

        // Of the two passes of a step the first, which has the prompt.
        Assert.Null(observer.Failure);
        var found = observer.Masks.Found;
        Assert.Equal(plan.Steps.Count * plan.Layers.Count, found.Count);
        foreach (var (site, mask) in recorder.Masks.DistinctBy(one => one.Site))
        {
            for (var head = 0; head < plan.Heads.Count; head++)
            {
                var rows = found[(site.Step, site.Layer)].Heads![head];
                Assert.All(Enumerable.Range(0, plan.Layout.Blocks), query => Assert.Equal(
                    mask.Row(head, query).ToArray(),
                    Enumerable.Range(0, plan.Layout.Blocks).Where(key => (rows[query * plan.RowBytes + key / 8] >> key % 8 & 1) != 0)));
            }
        }
    }

    [Theory]
    [InlineData("a.txt", "the name of the masks must end in .html or .png")]
    [InlineData("none/a.html", "cannot be written")]
    public void A_name_is_checked_before_the_work(string name, string expected)
    {
        File.WriteAllText(_folder["none"], "a file");
        Assert.Contains(expected, Assert.ThrowsAny<NablaGenException>(() => MaskFile.Check(_folder[name], "a.mp4")).Message);
    }

    public void Dispose() => _folder.Dispose();

    // A run of one frame: 2 × 2 blocks. Steps 0 and 3 are looked at; step 0 is dense, and in step 3 only layer 0 is computed, twice.
    private (GenerationRequest Request, MaskObserver Observer, BlockMask Made) Observe(string seed)
    {
        var request = MaskPlanTests.Request("nabla-0.5") with { Frames = 1, DenseSteps = 1 };
        var plan = MaskPlan.Of(new MaskChoice([0, 3], [0, 1]), request, model.Model, MaskPlan.MostOnPage);
        var heads = model.Model.Transformer.Heads;
        var random = new Random(seed.Length);
        int[][][] rows = [.. Enumerable.Range(0, heads).Select(_ => Enumerable.Range(0, 4).Select(query =>
            Enumerable.Range(0, 4).Where(key => key == query || random.Next(2) == 0).ToArray()).ToArray())];
        var made = new BlockMask(plan.Layout,
            [.. rows.Select(head => (int[])[0, .. head.Select((_, i) => head.Take(i + 1).Sum(row => row.Length))])], [.. rows.Select(head => head.SelectMany(row => row).ToArray())]);
        ISamplingObserver observer = new MaskObserver(plan, heads);
        observer.OnDense(new AttentionSite(0, 0));
        observer.OnDense(new AttentionSite(0, 1));
        using var latents = zeros(1);
        observer.OnStep(0, latents);
        observer.OnSparse(new AttentionSite(3, 0), made);
        observer.OnDense(new AttentionSite(3, 0));
        return (request, (MaskObserver)observer, made);
    }

    private static Recipe Recipe(GenerationRequest request) => NablaGen.Generation.Recipe.Of(request, "golden", "0", "cpu", "float32");

    // A grey frame.
    private string Still(GenerationRequest request)
    {
        PictureFile.SavePng(_folder["still.png"], request.Width, request.Height, [.. Enumerable.Repeat((byte)200, request.Width * request.Height * 3)]);
        return _folder["still.png"];
    }

    private sealed class Recorder : ISamplingObserver
    {
        public List<(AttentionSite Site, BlockMask Mask)> Masks { get; } = [];

        public void OnDense(AttentionSite site)
        {
        }

        public void OnSparse(AttentionSite site, IKeptBlocks kept) => Masks.Add((site, kept as BlockMask ?? Masks.Last(one => one.Site == site).Mask));

        public void OnStep(int step, Tensor latents)
        {
        }
    }

    [GeneratedRegex("<script type=\"application/json\" id=\"data\">(.*?)</script>", RegexOptions.Singleline)]
    private static partial Regex Data();
}
