using System.Buffers.Binary;
using System.Globalization;

namespace NablaGen.Distributed;

/// <content>Who watches over whom.</content>
public sealed partial class RankChannel
{
    private void Watch()
    {
        while (true)
        {
            var before = Environment.TickCount64;
            Thread.Sleep(_times.Beat);
            if (Environment.TickCount64 - before > _times.Silence.TotalMilliseconds / 2)
            {
                // This process was stopped, by Ctrl-Z or a lid: the others were, too, or will say so.
                Forgive();
            }

            var alive = new byte[AliveBytes];
            string? line;
            lock (_gate)
            {
                if (_isClosed || _fault is not null)
                {
                    return;
                }

                BinaryPrimitives.WriteInt64LittleEndian(alive, _reached);
                alive[^1] = _isPatient ? (byte)1 : (byte)0;
                line = Silent() ?? (Place.Rank == 0 ? Hanging() : null);
            }

            if (line is not null)
            {
                Fail(line);
                return;
            }

            foreach (var link in _links)
            {
                TryTell(link, RankFrame.Kind.Alive, alive);
            }
        }
    }

    private void Forgive()
    {
        lock (_gate)
        {
            var now = Environment.TickCount64;
            _standing.Since = now;
            foreach (var link in _links)
            {
                (link.LastSeen, link.Standing.Since) = (now, now);
            }
        }
    }

    private string? Silent()
    {
        var now = Environment.TickCount64;
        var silent = _links.Find(link => !link.IsDone && now - link.LastSeen > _times.Silence.TotalMilliseconds);
        return silent is null ? null : string.Create(CultureInfo.InvariantCulture, $"{silent.Name} has given no sign of life for {_times.Silence.TotalSeconds:0} s");
    }

    // Whoever is furthest waits; who is behind and stays there hangs.
    private string? Hanging()
    {
        var (now, furthest, isPatient) = (Environment.TickCount64, _reached, _isPatient);
        foreach (var link in _links.Where(link => link.Reached > furthest))
        {
            (furthest, isPatient) = (link.Reached, link.IsPatient);
        }

        bool Hangs(Standing standing, long reached)
        {
            if (isPatient || reached >= furthest || reached != standing.At)
            {
                (standing.At, standing.Since) = (reached, now);
            }

            return now - standing.Since > _times.Stall.TotalMilliseconds;
        }

        var name = Hangs(_standing, _reached) && !_isDone ? Name : _links.Find(link => Hangs(link.Standing, link.Reached) && !link.IsDone)?.Name;
        return name is null ? null : string.Create(CultureInfo.InvariantCulture, $"{name} hangs: others have waited for it for {_times.Stall.TotalSeconds:0} s");
    }
}
