import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;

public class Work {
    public static void main(String[] arguments) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Integer>> parts = new ArrayList<>();
        for (int part = 0; part < 16; part++) {
            final int number = part;
            parts.add(pool.submit(() -> {
                Map<String, List<Integer>> map = new TreeMap<>();
                for (int i = 0; i < 20000; i++)
                    map.computeIfAbsent("key" + (i * 31 + number) % 997, key -> new ArrayList<>()).add(i);
                Deflater deflater = new Deflater();
                deflater.setInput(map.toString().getBytes());
                deflater.finish();
                byte[] out = new byte[1 << 20];
                int length = deflater.deflate(out);
                deflater.end();
                return map.size() + (length > 0 ? 1 : 0);
            }));
        }
        int sum = 0;
        for (Future<Integer> part : parts)
            sum += part.get();
        pool.shutdown();
        System.out.println(sum);
        System.gc();
        try {
            Object nothing = null;
            nothing.toString();
        } catch (NullPointerException expected) {
            System.out.println("null pointer caught");
        }
        System.exit(6);
    }
}
